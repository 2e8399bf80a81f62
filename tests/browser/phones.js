// What runs in the page: one telephone, by JsSIP or by SIP.js, both as published. Whatever it does is reported to the test.

import * as JsSIP from "jssip";
import * as SIP from "sip.js";
import * as sound from "./sound.js";

const report = (event, detail = {}) => window.report({ event, ...detail });

/** A refusal as the test wants to see it. */
function refusal(message) {
  return { status: message?.status_code ?? message?.statusCode ?? 0, warning: message?.getHeader("Warning") ?? "" };
}

function jssip({ server, uri, password, expires, video, manual }) {
  const ua = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(server)],
    uri,
    password,
    register_expires: expires,
    connection_recovery_min_interval: 1,
    connection_recovery_max_interval: 2,
  });
  ua.on("connected", () => report("connected"));
  ua.on("disconnected", () => report("disconnected"));
  ua.on("registered", () => report("registered"));
  ua.on("unregistered", () => report("unregistered"));
  let session;
  const media = () => ({ mediaConstraints: { audio: true, video: Boolean(video) }, pcConfig: { iceServers: [] } });
  // A call from the platform: without this JsSIP knows no INVITE at all.
  ua.on("newRTCSession", ({ originator, session: fresh }) => {
    session = fresh;
    fresh.on("failed", ({ originator, message, cause }) => report("failed", { originator, cause, ...refusal(message) }));
    fresh.on("accepted", () => report("accepted"));
    fresh.on("confirmed", () => {
      // What a page needs to come back to the talk after it was loaded again.
      const dialog = fresh._dialog.id;
      sessionStorage.setItem("talk", JSON.stringify([dialog.call_id, dialog.remote_tag, dialog.local_tag]));
      report("confirmed");
    });
    fresh.on("ended", ({ originator }) => report("ended", { originator }));
    fresh.on("hold", ({ originator }) => report("held", { originator }));
    fresh.on("unhold", ({ originator }) => report("unheld", { originator }));
    if (originator === "remote") {
      report("ringing", { from: fresh.remote_identity.uri.user });
      if (!manual) fresh.answer(media());
    }
  });
  ua.on("registrationFailed", ({ response }) => report("rejected", refusal(response)));
  ua.start();
  return {
    unregister: () => ua.unregister(),
    // RFC 5626 §4.4.1, as a page does that wants to know whether its connection still stands.
    ping: () => ua.transport.socket.send("\r\n\r\n"),
    call: (target) => void ua.call(target, media()),
    // RFC 3891: the new call takes the place of the one that the page had before.
    comeBack() {
      const [call, remote, local] = JSON.parse(sessionStorage.getItem("talk"));
      const extraHeaders = [`Replaces: ${call};to-tag=${remote};from-tag=${local}`, "Require: replaces"];
      ua.call(uri, { ...media(), extraHeaders });
    },
    answer: () => session.answer(media()),
    hangUp: () => session.terminate(),
    hold: () => session.hold({}, () => report("holding")) || report("unable", { text: "hold" }),
    retrieve: () => session.unhold({}, () => report("retrieved")) || report("unable", { text: "retrieve" }),
    restart: () =>
      session.renegotiate({ rtcOfferConstraints: { iceRestart: true } }, () => report("restarted")) ||
      report("unable", { text: "restart" }),
    // A screen is shown, and taken back.
    share() {
      const track = sound.screen();
      session.shared = session.connection.addTrack(track, new MediaStream([track]));
      session.renegotiate({}, () => report("shared")) || report("unable", { text: "share" });
    },
    unshare() {
      session.connection.removeTrack(session.shared);
      session.renegotiate({}, () => report("unshared")) || report("unable", { text: "unshare" });
    },
    // Both ways in which JsSIP sends digits.
    press: (digits, how = "RFC2833") => session.sendDTMF(digits, { transportType: how, duration: 120, interToneGap: 100 }),
  };
}

function sipjs({ server, uri, password, expires, keepAlive, video, manual }) {
  const target = SIP.UserAgent.makeURI(uri);
  const ua = new SIP.UserAgent({
    uri: target,
    authorizationUsername: target.user,
    authorizationPassword: password,
    transportOptions: { server, keepAliveInterval: keepAlive, keepAliveDebounce: 5 },
    logLevel: "warn",
  });
  const registerer = new SIP.Registerer(ua, { expires, refreshFrequency: 50 });
  registerer.stateChange.addListener((state) => {
    if (state === SIP.RegistererState.Unregistered) report("unregistered");
  });
  // The state does not change when it registers again on a new connection: the answer tells.
  const requestDelegate = {
    onAccept: () => report("registered"),
    onReject: (r) => report("rejected", refusal(r.message)),
  };
  const register = () => registerer.register({ requestDelegate });
  let wanted = true;
  let session;
  const constraints = { audio: true, video: Boolean(video) };
  const take = (fresh) => {
    session = fresh;
    fresh.stateChange.addListener((state) => {
      if (state === SIP.SessionState.Established) {
        const { callId, remoteTag, localTag } = fresh.dialog;
        sessionStorage.setItem("talk", JSON.stringify([callId, remoteTag, localTag]));
        report("confirmed");
      }
      if (state === SIP.SessionState.Terminated) report("ended");
    });
  };
  const accept = () =>
    session
      .accept({ sessionDescriptionHandlerOptions: { constraints } })
      .then(() => report("accepted"))
      .catch((e) => report("unable", { text: String(e) }));
  /** A re-INVITE as the guide of SIP.js shows it. */
  const renew = (done, { hold, iceRestart } = {}) => {
    const options = { requestDelegate: { onAccept: () => report(done), onReject: (r) => report("failed", refusal(r.message)) } };
    session.sessionDescriptionHandlerOptionsReInvite = { hold, offerOptions: { iceRestart } };
    session.invite(options).catch((e) => report("unable", { text: String(e) }));
  };
  // SIP.js leaves reconnecting to the application: this is the loop of its own guide, without a limit.
  const again = () => {
    if (wanted) setTimeout(() => ua.reconnect().catch(again), 500);
  };
  ua.delegate = {
    onInvite(invitation) {
      take(invitation);
      report("ringing", { from: invitation.remoteIdentity.uri.user });
      if (!manual) accept();
    },
    onConnect: () => {
      report("connected");
      register();
    },
    onDisconnect: (error) => {
      report("disconnected");
      if (error) again();
    },
  };
  ua.start().catch(again);
  return {
    unregister() {
      wanted = false;
      registerer.unregister();
    },
    ping: () => ua.transport.send("\r\n\r\n"),
    // RFC 3891, as above.
    comeBack() {
      const [call, remote, local] = JSON.parse(sessionStorage.getItem("talk"));
      this.call(uri, [`Replaces: ${call};to-tag=${remote};from-tag=${local}`, "Require: replaces"]);
    },
    call(text, extraHeaders = []) {
      const inviter = new SIP.Inviter(ua, SIP.UserAgent.makeURI(text), {
        sessionDescriptionHandlerOptions: { constraints },
        extraHeaders,
      });
      take(inviter);
      const requestDelegate = {
        onReject: (r) => report("failed", { originator: "remote", ...refusal(r.message) }),
        onAccept: () => report("accepted"),
      };
      inviter.invite({ requestDelegate }).catch((e) => report("failed", { originator: "local", cause: String(e) }));
    },
    answer: accept,
    hangUp: () => session.bye(),
    hold: () => renew("holding", { hold: true }),
    retrieve: () => renew("retrieved", { hold: false }),
    restart: () => renew("restarted", { iceRestart: true }),
    press(digits, how = "RFC2833") {
      if (how === "INFO") {
        const body = (tone) => ({
          contentDisposition: "render",
          contentType: "application/dtmf-relay",
          content: `Signal=${tone}\r\nDuration=120`,
        });
        for (const tone of digits) session.info({ requestOptions: { body: body(tone) } });
      } else {
        session.sessionDescriptionHandler.sendDtmf(digits, { duration: 120, interToneGap: 100 });
      }
    },
  };
}

window.start = (settings) => {
  sound.install(settings);
  window.phone = { ...sound, ...{ jssip, sipjs }[settings.library](settings) };
};
