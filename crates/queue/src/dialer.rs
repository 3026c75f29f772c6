//! How a connection to a Redis server is made: to one that is named, or to the master that sentinels name.

use std::time::Duration;

use deadpool_redis::{Pool, PoolConfig, Runtime, Timeouts};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, ProtocolVersion, RedisError, RedisResult,
    TlsCertificates, TlsMode,
};
use tokio::sync::Mutex;

/// Longest wait for an answer from Redis.
///
/// Giving up does not take the command back: Redis may apply it later, after the
/// retry. Whoever sends again must therefore be harmless to repeat.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest wait until it is known where to connect, too.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// After this long without a sign of the other side a connection counts as dead.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Connections for what is small and rare, so that it never stands behind a lane's megabytes.
const SIDE_CONNECTIONS_MAX: usize = 2;

/// Makes connections to a server.
pub(crate) enum Dialer {
    /// This one.
    One(Client),
    /// Whichever is the master.
    Sentinel(Mutex<SentinelClient>),
}

/// The connections to a server.
#[derive(Clone)]
pub(crate) struct Server {
    address: ConnectionAddr,
    /// For what lies in lanes.
    pub(crate) lanes: MultiplexedConnection,
    /// For everything else.
    pub(crate) side: Pool,
}

impl Dialer {
    /// To a server that is named. Does not touch the network.
    pub(crate) fn one(server: ConnectionInfo, certificates: Option<TlsCertificates>) -> RedisResult<Dialer> {
        client(server, certificates).map(Dialer::One)
    }

    /// To the server that sentinels call `master`. Does not touch the network.
    pub(crate) fn sentinel(
        sentinels: &[ConnectionInfo],
        master: &str,
        server: &ConnectionInfo,
        certificates: Option<TlsCertificates>,
    ) -> RedisResult<Dialer> {
        Ok(Dialer::Sentinel(Mutex::new(sentinel_client(sentinels, master, server, certificates)?)))
    }

    /// Makes a connection, to the server that is the right one now.
    pub(crate) async fn dial(&self) -> RedisResult<Server> {
        let dialled = async {
            match self {
                Dialer::One(client) => server(client).await,
                Dialer::Sentinel(sentinels) => server(&master(sentinels).await?).await,
            }
        };
        tokio::time::timeout(DIAL_TIMEOUT, dialled).await.unwrap_or_else(|_| {
            Err(RedisError::from((ErrorKind::Io, "no connection", format!("within {} s", DIAL_TIMEOUT.as_secs()))))
        })
    }

    /// Whether somebody else than this server is the master now, as far as sentinels can be asked.
    pub(crate) async fn has_moved(&self, from: &Server) -> bool {
        match self {
            Dialer::One(_) => false,
            Dialer::Sentinel(sentinels) => match tokio::time::timeout(DIAL_TIMEOUT, master(sentinels)).await {
                Ok(Ok(client)) => *client.get_connection_info().addr() != from.address,
                Ok(Err(_)) | Err(_) => false,
            },
        }
    }
}

/// What knows how to connect to a server.
pub(crate) fn client(server: ConnectionInfo, certificates: Option<TlsCertificates>) -> RedisResult<Client> {
    match certificates {
        None => Client::open(settled(server)),
        Some(certificates) => Client::build_with_tls(settled(server), certificates),
    }
}

/// Asks the sentinels who is the master; it is asked itself whether it is.
async fn master(sentinels: &Mutex<SentinelClient>) -> RedisResult<Client> {
    let client = sentinels.lock().await.async_get_client().await?;
    Client::open(settled(client.get_connection_info().clone()))
}

async fn server(client: &Client) -> RedisResult<Server> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(ANSWER_TIMEOUT));
    let lanes = client.get_multiplexed_async_connection_with_config(&config).await?;
    let info = client.get_connection_info().clone();
    let address = info.addr().clone();
    let manager = deadpool_redis::Manager::new_with_config(info, config)?;
    let mut limits = PoolConfig::new(SIDE_CONNECTIONS_MAX);
    limits.timeouts =
        Timeouts { wait: Some(ANSWER_TIMEOUT), create: Some(CONNECT_TIMEOUT), recycle: Some(CONNECT_TIMEOUT) };
    let side = Pool::builder(manager).config(limits).runtime(Runtime::Tokio1).build();
    Ok(Server { address, lanes, side: side.expect("a pool with time limits has a runtime") })
}

fn sentinel_client(
    sentinels: &[ConnectionInfo],
    master: &str,
    server: &ConnectionInfo,
    certificates: Option<TlsCertificates>,
) -> RedisResult<SentinelClient> {
    let addresses = sentinels.iter().map(|sentinel| sentinel.addr().clone());
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
        .set_client_to_sentinel_tcp_settings(tcp_settings())
        .set_client_to_redis_tcp_settings(tcp_settings())
        .set_client_to_redis_protocol(ProtocolVersion::RESP3)
        .set_client_to_redis_db(server.redis_settings().db());
    if matches!(server.addr(), ConnectionAddr::TcpTls { .. }) {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    let login = server.redis_settings();
    if let Some(username) = login.username() {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = login.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    // All sentinels have the login of the first.
    let login = sentinels.first().map(ConnectionInfo::redis_settings);
    if let Some(username) = login.and_then(|login| login.username()) {
        builder = builder.set_client_to_sentinel_username(username);
    }
    if let Some(password) = login.and_then(|login| login.password()) {
        builder = builder.set_client_to_sentinel_password(password);
    }
    builder.build()
}

/// The address, with what holds for every connection to a server.
///
/// RESP3 tells of a connection that ends. The name of the library is not sent: a user who may do no more than
/// needed is refused that, and the refusal is logged by Redis each time.
fn settled(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
    info.set_redis_settings(settings).set_tcp_settings(tcp_settings())
}

/// A connection that notices when the other side has vanished without a word, also while nothing is sent.
fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(SILENCE_MAX / 3).with_interval(SILENCE_MAX / 3).with_retries(3);
    TcpSettings::default().set_nodelay(true).set_user_timeout(SILENCE_MAX).set_keepalive(keepalive)
}
