// What runs in the page: one telephone, by JsSIP or by SIP.js, both as published. Whatever it does is reported to the test.

import * as JsSIP from "jssip";
import * as SIP from "sip.js";

const report = (event, detail = {}) => window.report({ event, ...detail });

/** A refusal as the test wants to see it. */
function refusal(message) {
  return { status: message?.status_code ?? message?.statusCode ?? 0, warning: message?.getHeader("Warning") ?? "" };
}

function jssip({ server, uri, password, expires }) {
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
  // A call from the platform: without this JsSIP knows no INVITE at all.
  ua.on("newRTCSession", ({ originator, session }) => {
    if (originator === "remote") session.answer({ mediaConstraints: { audio: true, video: false } });
  });
  ua.on("registrationFailed", ({ response }) => report("rejected", refusal(response)));
  ua.start();
  return {
    unregister: () => ua.unregister(),
    // RFC 5626 §4.4.1, as a page does that wants to know whether its connection still stands.
    ping: () => ua.transport.socket.send("\r\n\r\n"),
    call(target) {
      const session = ua.call(target, { mediaConstraints: { audio: true, video: false } });
      session.on("failed", ({ originator, message, cause }) => report("failed", { originator, cause, ...refusal(message) }));
      session.on("accepted", () => report("accepted"));
    },
  };
}

function sipjs({ server, uri, password, expires, keepAlive }) {
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
  // SIP.js leaves reconnecting to the application: this is the loop of its own guide, without a limit.
  const again = () => {
    if (wanted) setTimeout(() => ua.reconnect().catch(again), 500);
  };
  ua.delegate = {
    onInvite: (invitation) => invitation.accept().catch((e) => report("unable", { text: String(e) })),
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
    call(text) {
      const inviter = new SIP.Inviter(ua, SIP.UserAgent.makeURI(text), {
        sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } },
      });
      const requestDelegate = {
        onReject: (r) => report("failed", { originator: "remote", ...refusal(r.message) }),
        onAccept: () => report("accepted"),
      };
      inviter.invite({ requestDelegate }).catch((e) => report("failed", { originator: "local", cause: String(e) }));
    },
  };
}

window.start = (settings) => {
  window.phone = { jssip, sipjs }[settings.library](settings);
};
