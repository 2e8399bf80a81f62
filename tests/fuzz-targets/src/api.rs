//! Seeds of what the faces over HTTP read.

fn bytes(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Messages of clients of `/api/v1/events`.
pub fn messages() -> Vec<Vec<u8>> {
    bytes(&[
        r#"{"type":"ping"}"#,
        r#"{"type":"command","id":"17","method":"POST","path":"/calls","body":{"from":"13800138000","to":"13900139000"},"key":"order-5"}"#,
        r#"{"type":"command","id":"18","method":"PATCH","path":"/queues/sales?x=%20","body":null,"if_match":"\"a1\""}"#,
        r#"{"type":"command","id":"","method":"GET","path":"/events"}"#,
        r#"{"type":"command","id":"1","method":"GET /","path":"//x/../events#y"}"#,
    ])
}

/// Files of a configuration.
pub fn files() -> Vec<Vec<u8>> {
    bytes(&[
        r#"{"version":1}"#,
        r#"{"version":1,"applications":[{"name":"sales","settings":{"ring_timeout":30,"default_cli":"","notices":{}},"disabled":false}],
            "devices":[{"username":"desk-1","contact":"","application":"sales","cli":"01062345678","dtmf":"auto","media":"srtp"}],
            "groups":[{"application":"sales","name":"front","numbers":[]}],
            "queues":[{"application":"sales","name":"a","group":"front","settings":{"strategy":"round-robin","overflow":{"number":"13800138000"},"max_wait_secs":90}}]}"#,
        r#"{"version":1,"agents":[{"application":"sales","login":"li","extension":"8001","wrap_up":{"seconds":15},"chat_capacity":3,"reset":["wrap_up"]}],
            "centres":[{"application":"sales","settings":{"wrap_up":"off","no_answer":"break","mask_numbers":true},"break_reasons":[{"code":"lunch","name":"Lunch"}],"survey":""}],
            "webhooks":[{"name":"crm","application":"","url":"https://crm.example.com/in","events":["call.ended"],"disabled":true}],
            "routes":[{"application":"sales","number":"01062345678","target":{"queue":"a"}}],"flows":[],"plans":[],"calendars":[],"lists":[],"display_pools":[]}"#,
    ])
}

/// `If-Match` values.
pub fn tags() -> Vec<Vec<u8>> {
    bytes(&[
        r#""0123456789abcdef01234567""#,
        "*",
        r#"W/"a""#,
        r#""a", "b""#,
        "\"\"",
        "",
    ])
}

/// `after` values.
pub fn cursors() -> Vec<Vec<u8>> {
    bytes(&["61", "3031613166393766", "zz", "6", "", "ff"])
}

/// Webhooks as they are created.
pub fn webhooks() -> Vec<Vec<u8>> {
    bytes(&[
        r#"{"name":"crm","url":"https://crm.example.com/in","secret":"0123456789abcdef"}"#,
        r#"{"tenant":"acme","name":"crm","application":"","url":"http://u:p@[::1]:8/a?b#c","events":["agent.changed","queue.changed"],"secret":"0123456789abcdef!","disabled":true}"#,
        r#"{"name":"","url":"ftp://x","events":["x"],"secret":"short"}"#,
    ])
}

/// Queries of dial links.
pub fn links() -> Vec<Vec<u8>> {
    bytes(&[
        "agentNo=8001&userNumber=13800138000&userData=order-7&ts=1790000000&sign=00ff",
        "agentNo=&userNumber=%2B8613800138000&userData=%E4%BD%A0&ts=-1&sign=",
        "ts=1&ts=2&agentNo=a%00b&userNumber=x",
    ])
}
