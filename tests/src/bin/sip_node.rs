//! The SIP node of [`strowger_tests::node`] as a process that can be killed.

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Err(problem) = strowger_tests::node::run(&words) {
        eprintln!("sip_node: {problem}");
        std::process::exit(2);
    }
}
