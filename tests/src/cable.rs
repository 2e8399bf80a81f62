//! A piece of cable between a client and the server that can be pulled: a TCP proxy that looks at nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Default)]
struct Shared {
    ends: Mutex<Vec<TcpStream>>,
    taken: AtomicUsize,
    stop: AtomicBool,
}

/// The cable. Its threads end with it.
pub struct Cable {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Cable {
    /// Listens on a free port and connects what comes there with `to`.
    pub fn to(to: SocketAddr) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.stop.load(Ordering::Relaxed) {
                    return;
                }
                accepting.join(client, to);
            }
        });
        Cable { address, shared }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Ends every connection at both ends, without a word of TLS or WebSocket. New ones are taken at once.
    pub fn cut(&self) {
        self.shared.cut();
    }
}

impl Shared {
    fn ends(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self) {
        for end in self.ends().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn join(&self, client: TcpStream, to: SocketAddr) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        // A server that does not run is a client whose connection ends at once.
        let Ok(server) = TcpStream::connect(to) else { return };
        let (Ok(a), Ok(b)) = (client.try_clone(), server.try_clone()) else {
            return;
        };
        let (Ok(c), Ok(d)) = (client.try_clone(), server.try_clone()) else {
            return;
        };
        self.ends().extend([client, server]);
        std::thread::spawn(move || carry(a, b));
        std::thread::spawn(move || carry(d, c));
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16_384];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.cut();
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}
