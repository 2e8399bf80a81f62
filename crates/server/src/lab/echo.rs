//! A socket that sends every packet back to where it came from.

use std::net::{IpAddr, SocketAddr};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// A running echo; it ends when it is dropped.
#[derive(Debug)]
pub struct Echo {
    /// Where packets are to be sent.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Echo {
    /// Starts an echo on a port that the system chooses.
    ///
    /// # Errors
    /// The system's, if no port can be had.
    pub async fn start(ip: IpAddr) -> std::io::Result<Echo> {
        let socket = UdpSocket::bind((ip, 0)).await?;
        let address = socket.local_addr()?;
        let task = tokio::spawn(async move {
            let mut packet = [0; 2048];
            // An ICMP error of an earlier packet is reported here and means nothing for the next one.
            loop {
                if let Ok((n, from)) = socket.recv_from(&mut packet).await {
                    let _ = socket.send_to(&packet[..n], from).await;
                } else {
                    tokio::task::yield_now().await;
                }
            }
        });
        Ok(Echo { address, task })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}
