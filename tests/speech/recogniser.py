#!/usr/bin/env python3
"""A small recogniser for tests: pocketsphinx with its English model behind the protocol of the Vosk server.

It knows eight words. An utterance ends with 600 ms of silence, or with the stream. Prints its port when it listens.

    recogniser.py [PORT]
"""
import array
import asyncio
import json
import sys
import tempfile

import websockets
from pocketsphinx import Decoder

GRAMMAR = """#JSGF V1.0;
grammar words;
public <words> = ( telephone | operator | elephant | september | wednesday | banana | calendar | yesterday )+ ;
"""
SILENCE = 300  # mean of absolute values, of 32768
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


async def serve(port, grammar):
    async def client(socket):
        utterances = None
        async for message in socket:
            if isinstance(message, bytes):
                answer = utterances.feed(message)
            else:
                if "config" in message:
                    utterances = Utterances(grammar, int(json.loads(message)["config"]["sample_rate"]))
                    continue
                # As the Vosk server does: letter by letter.
                assert message == '{"eof" : 1}', message
                await socket.send(json.dumps(utterances.end() if utterances else {"text": ""}))
                return
            await socket.send(json.dumps(answer))

    async with websockets.serve(client, "127.0.0.1", port) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


def main():
    with tempfile.NamedTemporaryFile("w", suffix=".gram") as grammar:
        grammar.write(GRAMMAR)
        grammar.flush()
        asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0, grammar.name))


main()
