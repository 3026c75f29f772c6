//! One address for a server that may be another one tomorrow, as a floating address or a proxy is in front of it.
//!
//! It copies bytes and nothing else: a side that ends ends the other, and while there is no server behind it connections are refused.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::port::Port;

/// The address in front of a server.
#[derive(Debug)]
pub struct Forwarder {
    port: Port,
    state: Arc<Mutex<State>>,
    _listening: JoinSet<()>,
}

#[derive(Debug, Default)]
struct State {
    target: Option<SocketAddr>,
    connections: JoinSet<()>,
}

impl Forwarder {
    /// Begins to forward to `target`.
    pub async fn to(target: SocketAddr) -> Forwarder {
        let port = Port::free();
        let listener = TcpListener::bind(port.address()).await.expect("the port is free");
        let state = Arc::new(Mutex::new(State { target: Some(target), ..State::default() }));
        let mut listening = JoinSet::new();
        listening.spawn({
            let state = state.clone();
            async move {
                loop {
                    let (client, _) = listener.accept().await.expect("a listener accepts");
                    let mut state = state.lock().expect("nobody panics with it");
                    while state.connections.try_join_next().is_some() {}
                    // Without a target the connection is closed at once.
                    if let Some(target) = state.target {
                        state.connections.spawn(forward(client, target));
                    }
                }
            }
        });
        Forwarder { port, state, _listening: listening }
    }

    /// Ends all connections; new ones go to `target`, or nowhere.
    pub fn point_at(&self, target: Option<SocketAddr>) {
        let mut state = self.state.lock().expect("nobody panics with it");
        *state = State { target, ..State::default() };
    }

    /// Its own address.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

async fn forward(mut client: TcpStream, target: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
