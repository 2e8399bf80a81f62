//! A video stream beside the audio of a WebRTC session (RFC 8829, RFC 8843). It is passed from one side to the other and never
//! decoded, so what is offered to one side is what the other one has.

use super::{Codec, Direction, IceDtls, Media, Session, Setup, attribute};
use crate::sdp::Carriage;

/// Encodings that are passed on; which of them is used the two sides agree on.
const CODECS: [&str; 5] = ["VP8", "VP9", "H264", "AV1", "H265"];
/// The clock of all of them in Hz.
pub const VIDEO_CLOCK: u32 = 90_000;
/// Header extensions (RFC 8285) that mean the same to a receiver behind a relay. Transport-wide feedback is none of them: it
/// counts the packets of one hop.
const EXTENSIONS: [&str; 6] = [
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "urn:ietf:params:rtp-hdrext:toffset",
    "urn:3gpp:video-orientation",
    "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
    "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
];
/// Feedback (RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb) that is passed on.
const FEEDBACK: [&str; 4] = ["nack", "nack pli", "ccm fir", "goog-remb"];
/// Most encodings of one stream that are read: a browser has a dozen variants.
const MAX_CODECS: usize = 24;

/// An encoding of a video stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoCodec {
    /// Payload type, name and parameters.
    pub codec: Codec,
    /// The payload type of its repetitions (RFC 4588).
    pub rtx: Option<u8>,
    /// The kinds of feedback that its author wants, of those that are passed on.
    pub feedback: Vec<String>,
}

impl VideoCodec {
    /// True if a decoder of the one understands the other: the same encoding in the same profile.
    pub fn matches(&self, other: &VideoCodec) -> bool {
        self.codec.same_encoding(&other.codec) && self.profile() == other.profile()
    }

    /// A text that is the same for two encodings that [match](VideoCodec::matches), and differs otherwise.
    pub fn key(&self) -> String {
        let (profile, mode) = self.profile();
        format!("{}/{profile}/{mode}", self.codec.name.to_ascii_lowercase())
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let all = self.codec.fmtp.as_deref()?.split(';');
        let mut pairs = all.filter_map(|p| p.split_once('='));
        pairs
            .find(|(n, _)| n.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// What of its parameters tells profiles apart (RFC 6184 section 8.1, RFC 9628, the RTP payload format of AV1); levels may
    /// differ.
    fn profile(&self) -> (String, String) {
        let is = |name: &str| self.codec.name.eq_ignore_ascii_case(name);
        let or = |name: &str, default: &str| self.parameter(name).unwrap_or(default).to_ascii_lowercase();
        if is("H264") {
            let id = or("profile-level-id", "420010");
            let profile = id.get(..4).unwrap_or(&id).to_owned();
            (profile, or("packetization-mode", "0"))
        } else if is("VP9") {
            (or("profile-id", "0"), String::new())
        } else if is("H265") {
            (or("profile-id", "1"), String::new())
        } else if is("AV1") {
            (or("profile", "0"), String::new())
        } else {
            Default::default()
        }
    }
}

/// One side's video, as its description says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSide {
    /// Encodings, most preferred first.
    pub codecs: Vec<VideoCodec>,
    /// Header extensions: number and URI.
    pub extensions: Vec<(u8, String)>,
    /// Which way it flows, seen by its author.
    pub direction: Direction,
}

impl VideoSide {
    /// What a session says of the video in its one transport; `None` if there is none that could be passed on.
    pub fn of(session: &Session) -> Option<VideoSide> {
        stream(session).and_then(|(_, media)| read(session, media))
    }
}

/// What we say about a video stream: what the party on the other side has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalVideo {
    /// Encodings, most preferred first. In an offer their payload types are kept where they are free; an answer has those of
    /// the offer.
    pub codecs: Vec<VideoCodec>,
    /// Header extensions.
    pub extensions: Vec<(u8, String)>,
    /// What we want to do.
    pub direction: Direction,
    /// The sources of our packets and of our repetitions.
    pub ssrcs: [u32; 2],
}

/// An encoding as both sides have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreedVideoCodec {
    /// As the far side described it: we send with its payload types.
    pub theirs: VideoCodec,
    /// The payload type that we expect.
    pub receive: u8,
    /// The payload type of repetitions that we expect.
    pub receive_rtx: Option<u8>,
}

/// What offer and answer came to for the video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreedVideo {
    /// Encodings that both have, in the order of the answer.
    pub codecs: Vec<AgreedVideoCodec>,
    /// Header extensions that both have, with their numbers.
    pub extensions: Vec<(u8, String)>,
    /// What flows, seen from us.
    pub direction: Direction,
    /// What the far side says for itself.
    pub wanted: Direction,
}

impl AgreedVideo {
    /// The far side, for the party on the other side.
    pub fn side(&self) -> VideoSide {
        VideoSide {
            codecs: self.codecs.iter().map(|c| c.theirs.clone()).collect(),
            extensions: self.extensions.clone(),
            direction: self.wanted,
        }
    }
}

/// The video stream in the transport of the audio, with its index: of several the first that its author sends. A page that
/// shows something for a second time has a stream left of the first time, which only receives.
pub(super) fn stream(session: &Session) -> Option<(usize, &Media)> {
    let grouped = |media: &Media| {
        let mid = media.attribute("mid")?;
        let groups = session
            .attributes
            .iter()
            .filter_map(|a| a.strip_prefix("group:BUNDLE "));
        groups.flat_map(str::split_ascii_whitespace).find(|m| *m == mid)
    };
    let audio = session.audio().map(|(_, media)| media)?;
    grouped(audio)?;
    let usable = |media: &Media| {
        // Port 0 with this flag is a stream that has no transport of its own (RFC 8843 section 6).
        let used = media.port != 0 || media.attribute("bundle-only").is_some();
        used && is_video(media) && media.carriage() == Some(Carriage::WebRtc) && grouped(media).is_some()
    };
    let mut all = session.media.iter().enumerate().filter(|(_, media)| usable(media));
    let sent = all.clone().find(|(_, media)| session.direction_of(media).sends());
    sent.or_else(|| all.next())
}

pub(super) fn is_video(media: &Media) -> bool {
    media.kind.eq_ignore_ascii_case("video")
}

fn read(session: &Session, media: &Media) -> Option<VideoSide> {
    let all = media.codecs();
    let apt = |c: &Codec| -> Option<u8> {
        let all = c
            .fmtp
            .as_deref()
            .filter(|_| c.name.eq_ignore_ascii_case("rtx"))?
            .split(';');
        all.filter_map(|p| p.trim().strip_prefix("apt="))
            .find_map(|v| v.trim().parse().ok())
    };
    let known = |c: &&Codec| c.clock_rate == VIDEO_CLOCK && CODECS.iter().any(|n| n.eq_ignore_ascii_case(&c.name));
    let codecs: Vec<VideoCodec> = all
        .iter()
        .filter(known)
        .take(MAX_CODECS)
        .map(|c| VideoCodec {
            codec: c.clone(),
            rtx: all
                .iter()
                .find(|r| apt(r) == Some(c.payload_type))
                .map(|r| r.payload_type),
            feedback: feedback(media, c.payload_type),
        })
        .collect();
    let side = VideoSide {
        codecs,
        extensions: extensions(media),
        direction: session.direction_of(media),
    };
    (!side.codecs.is_empty()).then_some(side)
}

fn feedback(media: &Media, payload_type: u8) -> Vec<String> {
    let lines = media
        .attributes
        .iter()
        .filter_map(|a| a.strip_prefix("rtcp-fb:")?.split_once(' '));
    let about = lines.filter(|(pt, _)| *pt == "*" || pt.parse() == Ok(payload_type));
    let wanted: Vec<&str> = about.map(|(_, value)| value.trim()).collect();
    let passed = FEEDBACK
        .iter()
        .filter(|f| wanted.iter().any(|w| w.eq_ignore_ascii_case(f)));
    passed.map(|f| (*f).to_owned()).collect()
}

fn extensions(media: &Media) -> Vec<(u8, String)> {
    let mut found: Vec<(u8, String)> = Vec::new();
    for line in media.attributes.iter().filter_map(|a| a.strip_prefix("extmap:")) {
        let mut parts = line.split_ascii_whitespace();
        let (Some(number), Some(uri)) = (parts.next(), parts.next()) else {
            continue;
        };
        // The one-byte form has numbers 1 to 14 (RFC 8285 section 4.2).
        let number = number.split('/').next().and_then(|n| n.parse().ok());
        let Some(number) = number.filter(|n| (1..=14).contains(n)) else {
            continue;
        };
        let known = EXTENSIONS.contains(&uri) && found.iter().all(|(n, u)| *n != number && u != uri);
        if known {
            found.push((number, uri.to_owned()));
        }
    }
    found
}

/// Gives encodings numbers that nothing else in the transport has. `before` is what our last description called them; a number
/// keeps its meaning while the session lives (RFC 3264 section 8.3.2).
pub(super) fn numbered(codecs: &[VideoCodec], audio: &[u8], before: &[VideoCodec]) -> Vec<VideoCodec> {
    let mut taken: Vec<u8> = audio.to_vec();
    let meant = |pt: u8| before.iter().find(|b| b.codec.payload_type == pt || b.rtx == Some(pt));
    let mut pick = |c: &VideoCodec, wishes: [Option<u8>; 2]| {
        let own = |pt: &u8| meant(*pt).is_none_or(|b| b.matches(c));
        let wished = wishes.into_iter().flatten().filter(own);
        let free = (96..=127).chain(35..=63).filter(|pt| meant(*pt).is_none());
        let found = wished.chain(free).find(|pt| !taken.contains(pt))?;
        taken.push(found);
        Some(found)
    };
    let mut out = Vec::with_capacity(codecs.len());
    for c in codecs {
        let known = before.iter().find(|b| b.matches(c));
        let Some(payload_type) = pick(c, [known.map(|b| b.codec.payload_type), Some(c.codec.payload_type)]) else {
            break;
        };
        let rtx = c.rtx.and_then(|own| pick(c, [known.and_then(|b| b.rtx), Some(own)]));
        out.push(VideoCodec {
            codec: Codec {
                payload_type,
                ..c.codec.clone()
            },
            rtx,
            feedback: c.feedback.clone(),
        });
    }
    out
}

/// What both have: the encodings of `ours`, in its order, under the numbers of `theirs`.
pub(super) fn common(theirs: &VideoSide, ours: &LocalVideo) -> Vec<VideoCodec> {
    let mut used = Vec::new();
    let mut found = Vec::new();
    for o in &ours.codecs {
        let same = |t: &&VideoCodec| t.matches(o) && !used.contains(&t.codec.payload_type);
        let Some(t) = theirs.codecs.iter().find(same) else {
            continue;
        };
        used.push(t.codec.payload_type);
        found.push(VideoCodec {
            codec: Codec {
                payload_type: t.codec.payload_type,
                ..o.codec.clone()
            },
            rtx: t.rtx.filter(|_| o.rtx.is_some()),
            feedback: t.feedback.iter().filter(|f| o.feedback.contains(f)).cloned().collect(),
        });
    }
    found
}

/// The extensions of `theirs` that we have too, under their numbers.
pub(super) fn common_extensions(theirs: &[(u8, String)], ours: &[(u8, String)]) -> Vec<(u8, String)> {
    let both = theirs.iter().filter(|(_, uri)| ours.iter().any(|(_, o)| o == uri));
    both.cloned().collect()
}

/// What is written of a stream.
pub(super) struct Written<'a> {
    pub codecs: &'a [VideoCodec],
    pub extensions: &'a [(u8, String)],
    pub direction: Direction,
    pub ssrcs: [u32; 2],
    pub port: u16,
    pub mid: &'a str,
    pub transport: (&'a IceDtls, Setup),
}

pub(super) fn write(stream: &Written<'_>) -> Media {
    let mut formats = Vec::new();
    let mut attributes = Vec::new();
    for c in stream.codecs {
        let pt = c.codec.payload_type;
        formats.push(pt.to_string());
        attributes.push(format!("rtpmap:{pt} {}/{VIDEO_CLOCK}", c.codec.name));
        attributes.extend(c.feedback.iter().map(|f| format!("rtcp-fb:{pt} {f}")));
        attributes.extend(c.codec.fmtp.iter().map(|f| format!("fmtp:{pt} {f}")));
        if let Some(rtx) = c.rtx {
            formats.push(rtx.to_string());
            attributes.push(format!("rtpmap:{rtx} rtx/{VIDEO_CLOCK}"));
            attributes.push(format!("fmtp:{rtx} apt={pt}"));
        }
    }
    attributes.extend(stream.extensions.iter().map(|(n, uri)| format!("extmap:{n} {uri}")));
    attributes.push(stream.direction.as_str().into());
    attributes.push(format!("mid:{}", stream.mid));
    let (own, setup) = stream.transport;
    own.write(setup, &mut attributes);
    attributes.push("rtcp-rsize".into());
    attributes.push("msid:strowger video".into());
    if stream.direction.sends() {
        let [ssrc, rtx] = stream.ssrcs;
        let repeats = stream.codecs.iter().any(|c| c.rtx.is_some());
        if repeats {
            attributes.push(format!("ssrc-group:FID {ssrc} {rtx}"));
        }
        let sources = std::iter::once(ssrc).chain(repeats.then_some(rtx));
        attributes.extend(sources.map(|s| format!("ssrc:{s} cname:strowger")));
    }
    Media {
        kind: "video".into(),
        port: stream.port,
        protocol: "UDP/TLS/RTP/SAVPF".into(),
        formats,
        connection: None,
        attributes,
        others: Vec::new(),
    }
}

/// Names the streams of the one transport.
pub(super) fn bundle(session: &mut Session) {
    let used = session
        .media
        .iter()
        .filter(|m| m.port != 0 && m.carriage() == Some(Carriage::WebRtc));
    let mids: Vec<&str> = used.filter_map(|m| attribute(&m.attributes, "mid")).collect();
    if !mids.is_empty() {
        let group = format!("group:BUNDLE {}", mids.join(" "));
        session.attributes.push(group);
    }
}

/// What an answer makes of the video that we offered.
pub(super) fn answered(offer: &Session, answer: &Session) -> Option<AgreedVideo> {
    let (index, ours) = stream(offer)?;
    let theirs = answer.media.get(index).filter(|m| m.port != 0 && is_video(m))?;
    let (ours, theirs) = (read(offer, ours)?, read(answer, theirs)?);
    let codecs: Vec<AgreedVideoCodec> = theirs
        .codecs
        .iter()
        .filter_map(|t| {
            let own = ours.codecs.iter().find(|o| o.matches(t))?;
            Some(AgreedVideoCodec {
                theirs: t.clone(),
                receive: own.codec.payload_type,
                receive_rtx: own.rtx.filter(|_| t.rtx.is_some()),
            })
        })
        .collect();
    (!codecs.is_empty()).then(|| AgreedVideo {
        codecs,
        extensions: common_extensions(&theirs.extensions, &ours.extensions),
        direction: theirs.direction.reversed().and(ours.direction),
        wanted: theirs.direction,
    })
}
