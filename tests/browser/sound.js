// Sound of a page: a tone in place of the microphone, and a look at what the far side sends. It hooks into the browser's own
// interfaces, so that the telephones are left as they were published.

const report = (event, detail = {}) => window.report({ event, ...detail });

/** Frequency bins of 5.9 Hz at 48 kHz. */
const POINTS = 8192;
/** Louder than this is a tone, more quiet is silence, in dB of full scale. */
const LOUD = -45;
const QUIET = -70;
/** Looks in a row that must agree, 50 ms apart: more than a jitter buffer invents on its own. */
const LOOKS = 6;

const context = new AudioContext();
let oscillator;
/** The newest remote track of each kind, and the node that listens to it. */
let analyser;
const connections = [];

/** From now on the microphone hears this tone; 0 is silence. */
export function say(hz) {
  oscillator.frequency.value = hz || 1;
  oscillator.level.gain.value = hz ? 0.5 : 0;
}

function microphone() {
  const tone = context.createOscillator();
  const level = context.createGain();
  const out = context.createMediaStreamDestination();
  tone.connect(level).connect(out);
  tone.start();
  tone.level = level;
  tone.out = out;
  return tone;
}

function listen(track) {
  const stream = new MediaStream([track]);
  // Chromium gives a remote track to nodes only while an element plays it as well.
  const element = new Audio();
  element.srcObject = stream;
  element.muted = true;
  element.play().catch(() => {});
  const node = context.createAnalyser();
  node.fftSize = POINTS;
  node.smoothingTimeConstant = 0;
  context.createMediaStreamSource(stream).connect(node);
  analyser = node;
}

/** The loudest frequency above 100 Hz and its level. */
function peak() {
  if (!analyser) return { hz: 0, level: -Infinity };
  const levels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(levels);
  const width = context.sampleRate / POINTS;
  let best = Math.ceil(100 / width);
  for (let i = best; i < levels.length; i += 1) if (levels[i] > levels[best]) best = i;
  return { hz: best * width, level: levels[best] };
}

/** Looks until a condition held often enough in a row, and then reports it. */
function watch(event, condition, detail) {
  let held = 0;
  const timer = setInterval(() => {
    const now = peak();
    held = condition(now) ? held + 1 : 0;
    if (held < LOOKS) return;
    clearInterval(timer);
    report(event, { ...detail, level: Math.round(now.level) });
  }, 50);
}

/** Reports `heard` when the far side's loudest tone is this one. */
export const hear = (hz) => watch("heard", (now) => now.level > LOUD && Math.abs(now.hz - hz) < 12, { hz });
/** Reports `silent` when nothing is heard any more. */
export const silence = () => watch("silent", (now) => now.level < QUIET, {});
/** Reports what is heard at the moment. */
export const look = () => report("peak", peak());

/** The pictures that all open connections have decoded so far, of which encoding and size. */
async function decoded() {
  const sum = { frames: 0, codec: "", width: 0 };
  for (const connection of connections) {
    if (connection.connectionState === "closed") continue;
    const all = await connection.getStats();
    all.forEach((s) => {
      if (s.type !== "inbound-rtp" || s.kind !== "video") return;
      sum.frames += s.framesDecoded ?? 0;
      sum.codec = all.get(s.codecId)?.mimeType ?? sum.codec;
      sum.width = s.frameWidth ?? sum.width;
    });
  }
  return sum;
}

/** Reports `seen` when so many more pictures were decoded. */
export async function see(count) {
  const { frames } = await decoded();
  const timer = setInterval(async () => {
    const now = await decoded();
    if (now.frames < frames + count) return;
    clearInterval(timer);
    report("seen", now);
  }, 100);
}

/** Reports `blind` when no picture was decoded for a second and a half. */
export async function blind() {
  let { frames } = await decoded();
  let since = performance.now();
  const timer = setInterval(async () => {
    const now = await decoded();
    if (now.frames !== frames) [frames, since] = [now.frames, performance.now()];
    if (performance.now() - since < 1500) return;
    clearInterval(timer);
    report("blind", now);
  }, 100);
}

/** Counters of all connections of the page, for a test's own words. */
export async function stats() {
  for (const connection of connections) {
    if (connection.connectionState === "closed") continue;
    const all = [];
    (await connection.getStats()).forEach((s) => all.push(s));
    const of = (type, kind) => all.filter((s) => s.type === type && (!kind || s.kind === kind));
    const pair = of("candidate-pair").find((s) => s.nominated && s.state === "succeeded");
    const local = all.find((s) => s.id === pair?.localCandidateId);
    report("stats", {
      received: of("inbound-rtp", "audio").reduce((n, s) => n + s.packetsReceived, 0),
      frames: of("inbound-rtp", "video").reduce((n, s) => n + (s.framesDecoded ?? 0), 0),
      local: local?.candidateType,
      codecs: of("inbound-rtp").map((s) => all.find((c) => c.id === s.codecId)?.mimeType),
      state: connection.connectionState,
    });
  }
}

export const newest = () => connections[connections.length - 1];

export function install({ tone = 0, iceServers, relayOnly, codec }) {
  oscillator = microphone();
  say(tone);
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(settings = {}) {
      super({ ...settings, ...(iceServers && { iceServers }), ...(relayOnly && { iceTransportPolicy: "relay" }) });
      connections.push(this);
      this.addEventListener("track", ({ track }) => {
        if (track.kind === "audio") listen(track);
        else watch_pictures(track);
      });
      this.addEventListener("connectionstatechange", () => report("connection", { state: this.connectionState }));
    }

    createOffer(...options) {
      if (codec) {
        const all = RTCRtpReceiver.getCapabilities("video").codecs;
        const wanted = all.filter((c) => c.mimeType === `video/${codec}` || c.mimeType === "video/rtx");
        const pictures = this.getTransceivers().filter((t) => t.receiver.track.kind === "video");
        for (const t of pictures) t.setCodecPreferences(wanted);
      }
      return super.createOffer(...options);
    }
  };
  const native = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async ({ audio, video }) => {
    const tracks = audio ? oscillator.out.stream.getAudioTracks().map((t) => t.clone()) : [];
    // Chromium's own camera for tests: a disc that turns.
    if (video) tracks.push(...(await native({ video })).getVideoTracks());
    return new MediaStream(tracks);
  };
}

/** Plays a remote picture, as a page does. */
function watch_pictures(track) {
  const element = document.createElement("video");
  element.srcObject = new MediaStream([track]);
  element.muted = true;
  element.play().catch(() => {});
  document.body.append(element);
}

/** A picture that changes, in place of a screen that is shared. */
export function screen() {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [480, 360];
  const draw = canvas.getContext("2d");
  let n = 0;
  setInterval(() => {
    draw.fillStyle = `hsl(${(n += 5) % 360} 80% 50%)`;
    draw.fillRect(0, 0, 480, 360);
    draw.fillStyle = "black";
    draw.fillRect(n % 300, 100, 20, 40);
  }, 50);
  return canvas.captureStream(20).getVideoTracks()[0];
}
