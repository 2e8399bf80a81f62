//! SIPp scenarios that are put together from steps, for the flows that take more than one file can say plainly. What comes
//! out is an ordinary scenario file; SIPp is the one that judges whether the platform goes by it.

use std::fmt::Write as _;

/// A scenario in the making.
///
/// Keywords of SIPp may stand in every text. The keys `user` (its own name) and, where it calls, `-s` are given by
/// [`crate::sipp::Run`].
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name.
    pub name: String,
    steps: String,
    calling: bool,
    signed: bool,
    cseq: u32,
    /// The far side's tag and Contact have been noted.
    noted: bool,
}

/// An audio description; `[media_port]` is SIPp's.
pub const SDP: &str = "v=0
o=sipp [pid] [call_number] IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 8 0 101
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=sendrecv
";

const CONTACT: &str = "Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>\n";
const OURS: &str = "<sip:[user]@[remote_ip]:[remote_port]>;tag=[pid]c[call_number]";
const NOTE: &str = r#"
    <action>
      <ereg regexp="sip:[^>]*" search_in="hdr" header="Contact:" assign_to="target"/>
      <ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>
      <ereg regexp=".*" search_in="hdr" header="To:" assign_to="to"/>
    </action>
"#;

impl Script {
    fn new(name: &str, calling: bool) -> Script {
        Script {
            name: name.to_owned(),
            steps: String::new(),
            calling,
            signed: false,
            cseq: 0,
            noted: false,
        }
    }

    /// It sends the first request.
    pub fn calling(name: &str) -> Script {
        Script::new(name, true)
    }

    /// It waits for an INVITE.
    pub fn called(name: &str) -> Script {
        let mut script = Script::new(name, false);
        script.noted = true;
        let more = r#"  <ereg regexp=".*" search_in="hdr" header="Via:" assign_to="via"/>
      <ereg regexp=".*" search_in="hdr" header="CSeq:" assign_to="cseq"/>
    </action>"#;
        let note = NOTE.replace("</action>", more);
        let _ = writeln!(
            script.steps,
            "<recv request=\"INVITE\" crlf=\"true\">{note}</recv>\n<Reference variables=\"via,cseq\"/>"
        );
        script
    }

    /// It is called, rings reliably with a description, and its response is acknowledged (RFC 3262).
    pub fn reliable(name: &str) -> Script {
        Script::called(name)
            .reply("183 Session Progress", "Require: 100rel\nRSeq: 4711\n", SDP, true)
            .step(&format!(
                "<recv request=\"PRACK\">{}</recv><Reference variables=\"seen\"/>",
                Script::check("RAck", "4711 [0-9]+ INVITE")
            ))
            .agree("", "")
    }

    /// Answers the INVITE although another request came after it: the headers are not those of the newest message.
    pub fn late_answer(self, body: &str) -> Script {
        let described = match body {
            "" => "Content-Length: 0\n\n".to_owned(),
            _ => format!("Content-Type: application/sdp\nContent-Length: [len]\n\n{body}"),
        };
        let text = format!(
            "SIP/2.0 200 OK\nVia:[$via]\nFrom:[$from]\nTo:[$to];tag=[pid]t[call_number]\nCall-ID: [call_id]\nCSeq:[$cseq]\n\
             {CONTACT}{described}"
        );
        self.send(&text, true)
            .step("<recv request=\"ACK\" rtd=\"true\" crlf=\"true\"/>")
    }

    /// A registrar that challenges, checks the signature, and grants ten seconds twice.
    pub fn registrar(name: &str) -> Script {
        let granted = "Contact: <[$target]>;expires=10\n";
        let note =
            "<action><ereg regexp=\"sip:[^>]*\" search_in=\"hdr\" header=\"Contact:\" assign_to=\"target\"/></action>";
        Script::new(name, false)
            .step(&format!("<recv request=\"REGISTER\">{note}</recv>"))
            .reply(
                "401 Unauthorized",
                "WWW-Authenticate: Digest realm=\"carrier\", qop=\"auth\", algorithm=MD5, nonce=\"47ebe028cda119c3\"\n",
                "",
                false,
            )
            .step(
                "<recv request=\"REGISTER\"><action><verifyauth assign_to=\"right\" username=\"acme\" \
                 password=\"anvils-for-all\"/></action></recv>\n<nop next=\"7\" test=\"right\"/>",
            )
            .reply("403 Forbidden", "", "", false)
            .step("<nop><action><exec int_cmd=\"stop_now\"/></action></nop>\n<label id=\"7\"/>")
            .reply("200 OK", granted, "", false)
            .request("REGISTER")
            .reply("200 OK", granted, "", false)
    }

    /// The file's content.
    pub fn xml(&self) -> String {
        let reference = match self.noted {
            true => "<Reference variables=\"target,from,to\"/>\n",
            false => "",
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<scenario name=\"{}\">\n{}{reference}</scenario>\n",
            self.name, self.steps
        )
    }

    /// A step as SIPp writes it.
    pub fn step(mut self, xml: &str) -> Script {
        self.steps.push_str(xml);
        self.steps.push('\n');
        self
    }

    fn send(self, text: &str, again: bool) -> Script {
        let retrans = if again { " retrans=\"500\"" } else { "" };
        self.step(&format!("<send{retrans}>\n<![CDATA[\n\n{text}\n]]>\n</send>"))
    }

    /// A REGISTER with these Contact lines; signed after [`Script::challenged`].
    pub fn register(mut self, contacts: &str) -> Script {
        self.cseq += 1;
        let signed = if self.signed { "[authentication]\n" } else { "" };
        let text = format!(
            "REGISTER sip:[remote_ip]:[remote_port] SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n\
             From: {OURS}\nTo: <sip:[user]@[remote_ip]:[remote_port]>\nCall-ID: [call_id]\nCSeq: {} REGISTER\n\
             Max-Forwards: 70\n{contacts}{signed}Content-Length: 0\n\n",
            self.cseq
        );
        self.send(&text, true)
    }

    /// The first INVITE of the call; signed after [`Script::challenged`].
    pub fn invite(mut self, extra: &str) -> Script {
        self.cseq += 1;
        let signed = if self.signed { "[authentication]\n" } else { "" };
        let text = format!(
            "INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nFrom: {OURS}\n\
             To: <sip:[service]@[remote_ip]:[remote_port]>\nCall-ID: [call_id]\nCSeq: {} INVITE\nMax-Forwards: 70\n\
             {CONTACT}{extra}{signed}Content-Type: application/sdp\nContent-Length: [len]\n\n{SDP}",
            self.cseq
        );
        self.send(&text, true)
    }

    /// A 401 that the next REGISTER or INVITE answers.
    pub fn challenged(mut self, acknowledged: bool) -> Script {
        self.signed = true;
        let script = self.step("<recv response=\"401\" auth=\"true\"/>");
        if acknowledged { script.refused_ack() } else { script }
    }

    /// INVITE, the challenge, and the INVITE once more.
    pub fn signed_invite(self, extra: &str) -> Script {
        self.invite("")
            .step("<recv response=\"100\" optional=\"true\"/>")
            .challenged(true)
            .invite(extra)
    }

    fn refused_ack(self) -> Script {
        let cseq = self.cseq;
        self.send(
            &format!(
                "ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n[last_Via:]\n[last_From:]\n[last_To:]\nCall-ID: [call_id]\n\
                 CSeq: {cseq} ACK\nMax-Forwards: 70\nContent-Length: 0\n\n"
            ),
            false,
        )
    }

    /// A response that may come.
    pub fn maybe(self, status: u16) -> Script {
        self.step(&format!("<recv response=\"{status}\" optional=\"true\"/>"))
    }

    /// A response that must come.
    pub fn response(self, status: u16) -> Script {
        self.step(&format!("<recv response=\"{status}\"/>"))
    }

    /// A response to the INVITE that must come and makes a dialog.
    pub fn dialog(mut self, status: u16) -> Script {
        self.noted = true;
        self.step(&format!("<recv response=\"{status}\" rtd=\"true\">{NOTE}</recv>"))
    }

    /// The same with an action of the test's own.
    pub fn dialog_with(self, status: u16, action: &str) -> Script {
        let inner = action.trim_start_matches("<action>").trim_end_matches("</action>");
        let mut script = self;
        script.noted = true;
        let note = NOTE.replace("</action>", &format!("{inner}</action>"));
        script.step(&format!("<recv response=\"{status}\" rtd=\"true\">{note}</recv>"))
    }

    /// A refusal of the INVITE, acknowledged. `check` is put into the step, such as an action.
    pub fn refused(self, status: u16, check: &str) -> Script {
        self.maybe(100)
            .step(&format!("<recv response=\"{status}\">{check}</recv>"))
            .refused_ack()
    }

    /// The call is answered and acknowledged.
    pub fn answered(self) -> Script {
        self.maybe(100)
            .maybe(180)
            .maybe(183)
            .dialog(200)
            .inside_numbered("ACK", "", "", false)
    }

    fn inside_numbered(self, method: &str, extra: &str, body: &str, again: bool) -> Script {
        let (ours, theirs) = match self.calling {
            true => ("[$from]", "[$to]".to_owned()),
            false => ("[$to];tag=[pid]t[call_number]", "[$from]".to_owned()),
        };
        let described = match body {
            "" => "Content-Length: 0\n\n".to_owned(),
            SDP => format!("Content-Type: application/sdp\nContent-Length: [len]\n\n{body}"),
            _ => format!("Content-Length: [len]\n\n{body}"),
        };
        let cseq = self.cseq;
        self.send(
            &format!(
                "{method} [$target] SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nFrom: {ours}\n\
                 To: {theirs}\nCall-ID: [call_id]\nCSeq: {cseq} {method}\nMax-Forwards: 70\n{CONTACT}{extra}{described}"
            ),
            again,
        )
    }

    /// A request inside the dialog; its answer is a step of its own.
    pub fn inside(mut self, method: &str, extra: &str, body: &str) -> Script {
        self.cseq += 1;
        self.inside_numbered(method, extra, body, true)
    }

    /// The ACK of a 2xx to the INVITE with this CSeq.
    pub fn ack_of(mut self, cseq: u32) -> Script {
        let newest = std::mem::replace(&mut self.cseq, cseq);
        let mut script = self.inside_numbered("ACK", "", "", false);
        script.cseq = newest;
        script
    }

    /// A request of the platform.
    pub fn request(self, method: &str) -> Script {
        self.step(&format!("<recv request=\"{method}\" crlf=\"true\"/>"))
    }

    /// Answers the newest request. A final answer to an INVITE is sent again until its ACK comes.
    pub fn reply(self, line: &str, extra: &str, body: &str, again: bool) -> Script {
        let tag = match self.calling {
            true => "",
            false => ";tag=[pid]t[call_number]",
        };
        // In a dialog the To of a request has its tag already; SIPp adds none twice where the text does not ask for one.
        self.answer(line, tag, extra, body, again)
    }

    /// Answers a request inside the dialog.
    pub fn agree(self, extra: &str, body: &str) -> Script {
        self.answer("200 OK", "", extra, body, false)
    }

    fn answer(self, line: &str, tag: &str, extra: &str, body: &str, again: bool) -> Script {
        let described = match body {
            "" => "Content-Length: 0\n\n".to_owned(),
            _ => format!("Content-Type: application/sdp\nContent-Length: [len]\n\n{body}"),
        };
        let contact = if extra.contains("Contact:") { "" } else { CONTACT };
        let text = format!(
            "SIP/2.0 {line}\n[last_Via:]\n[last_Record-Route:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n\
             {contact}{extra}{described}"
        );
        self.send(&text, again)
    }

    /// Rings, accepts the call and waits for the ACK.
    pub fn accept(self) -> Script {
        self.reply("180 Ringing", "", "", false)
            .reply("200 OK", "", SDP, true)
            .step("<recv request=\"ACK\" rtd=\"true\" crlf=\"true\"/>")
    }

    /// The NOTIFY that says that a transfer is tried, and the one that says how it ended.
    pub fn notified(self) -> Script {
        let ok = |script: Script| {
            script.step(
                "<send>\n<![CDATA[\n\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n\
                 Content-Length: 0\n\n\n]]>\n</send>",
            )
        };
        let first = ok(self.request("NOTIFY"));
        let terminated = Script::check("Subscription-State", "terminated");
        ok(first.step(&format!(
            "<recv request=\"NOTIFY\" crlf=\"true\">{terminated}</recv>\n<Reference variables=\"seen\"/>"
        )))
    }

    /// Hangs up.
    pub fn bye(self) -> Script {
        self.inside("BYE", "", "").response(200)
    }

    /// Is hung up on.
    pub fn hung_up(self) -> Script {
        self.request("BYE").agree("", "")
    }

    /// Waits so many milliseconds: the talk that a call is for.
    pub fn pause(self, millis: u32) -> Script {
        self.step(&format!("<pause milliseconds=\"{millis}\"/>"))
    }

    /// An action that fails the call unless the newest message has a header that matches. To be put into a step.
    pub fn check(header: &str, regexp: &str) -> String {
        format!(
            "<action><ereg regexp=\"{regexp}\" search_in=\"hdr\" header=\"{header}:\" check_it=\"true\" assign_to=\"seen\"/></action>"
        )
    }
}
