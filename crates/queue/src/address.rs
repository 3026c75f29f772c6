//! Where Redis is: one server, the one that sentinels name, or a cluster.

use redis::{ConnectionInfo, IntoConnectionInfo};

use crate::QueueError;

/// Port of a Redis server.
const SERVER_PORT: u16 = 6379;

/// Port of a sentinel.
const SENTINEL_PORT: u16 = 26379;

/// What an address looks like.
const FORMS: &str = "it has the form `redis://[user:password@]host[:port][/db]`, \
     `redis-sentinel://[user:password@]host[:port][,host[:port]…]/master-name[/db]` or \
     `redis-cluster://[user:password@]host[:port][,host[:port]…]`, with `rediss` instead of `redis` for TLS";

/// Where Redis is, as `CROAK_REDIS_URL` says.
#[derive(Debug)]
pub(crate) enum Address {
    /// One server.
    One(ConnectionInfo),
    /// Whichever server the sentinels say is the master.
    Sentinel {
        /// Whom to ask.
        sentinels: Vec<ConnectionInfo>,
        /// What they call it.
        master: String,
        /// How to talk to it; its host is a sentinel's and means nothing.
        server: ConnectionInfo,
    },
    /// A cluster, by some of its servers: they know the others.
    Cluster(Vec<ConnectionInfo>),
}

impl Address {
    /// Reads an address. No message repeats it: it may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Address, QueueError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it lacks `://`"))?;
        if rest.contains('#') {
            return Err(wrong(
                "nothing may follow a `#`: certificates are always checked, against CROAK_REDIS_CA_FILE if it is set; \
                 in a password a `#` is written `%23`",
            ));
        }
        match scheme {
            "redis-sentinel" => sentinel("redis", rest),
            "rediss-sentinel" => sentinel("rediss", rest),
            "redis-cluster" => cluster("redis", rest),
            "rediss-cluster" => cluster("rediss", rest),
            "redis" | "rediss" | "valkey" | "valkeys" | "unix" | "redis+unix" | "valkey+unix" => one(url),
            other => Err(wrong(format!("`{other}` is not known"))),
        }
    }

    /// Some server of it: all are spoken to alike.
    pub(crate) fn sample(&self) -> &ConnectionInfo {
        match self {
            Address::One(server) | Address::Sentinel { server, .. } => server,
            Address::Cluster(servers) => servers.first().expect("an address names at least one server"),
        }
    }
}

fn one(url: &str) -> Result<Address, QueueError> {
    if url.contains(',') {
        return Err(wrong("it names several servers: `redis-sentinel://…` or `redis-cluster://…` says what they are"));
    }
    Ok(Address::One(url.into_connection_info().map_err(|error| wrong(error.to_string()))?))
}

fn sentinel(scheme: &str, rest: &str) -> Result<Address, QueueError> {
    let parts = Parts::of(rest)?;
    let (mut user, mut password) = ("", "");
    for pair in parts.query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sentinel_user", value)) => user = value,
            Some(("sentinel_password", value)) => password = value,
            _ => return Err(wrong("behind `?` only `sentinel_user=…&sentinel_password=…` may stand")),
        }
    }
    let login = if user.is_empty() && password.is_empty() { String::new() } else { format!("{user}:{password}@") };
    let sentinels = parts.hosts.iter().map(|host| server(scheme, &login, host, SENTINEL_PORT, ""));
    let sentinels = sentinels.collect::<Result<Vec<_>, _>>()?;

    let (master, db) = parts.path.split_once('/').unwrap_or((parts.path, ""));
    if master.is_empty() {
        return Err(wrong("the name of the master is missing: `redis-sentinel://host:26379/mymaster`"));
    }
    let server = server(scheme, parts.login, parts.hosts[0], SENTINEL_PORT, db)?;
    Ok(Address::Sentinel { sentinels, master: master.to_owned(), server })
}

fn cluster(scheme: &str, rest: &str) -> Result<Address, QueueError> {
    let parts = Parts::of(rest)?;
    if !parts.query.is_empty() {
        return Err(wrong("nothing may follow a `?` in the address of a cluster"));
    }
    if !matches!(parts.path, "" | "0") {
        return Err(wrong("a cluster has one database only: nothing may follow its servers"));
    }
    let servers = parts.hosts.iter().map(|host| server(scheme, parts.login, host, SERVER_PORT, ""));
    Ok(Address::Cluster(servers.collect::<Result<Vec<_>, _>>()?))
}

/// What stands between `://` and the end.
struct Parts<'a> {
    /// With the `@`, or nothing.
    login: &'a str,
    /// At least one.
    hosts: Vec<&'a str>,
    path: &'a str,
    query: &'a str,
}

impl Parts<'_> {
    fn of(rest: &str) -> Result<Parts<'_>, QueueError> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.iter().any(|host| host.is_empty()) {
            return Err(wrong("a host is missing before, after or between the commas"));
        }
        Ok(Parts { login, hosts, path: path.trim_end_matches('/'), query })
    }
}

fn server(scheme: &str, login: &str, host: &str, port: u16, db: &str) -> Result<ConnectionInfo, QueueError> {
    // Colons of an IPv6 address stand in brackets.
    let has_port = host.rfind(']').map_or(host, |end| &host[end..]).contains(':');
    let port = if has_port { String::new() } else { format!(":{port}") };
    let info = format!("{scheme}://{login}{host}{port}/{db}").into_connection_info();
    info.map_err(|error| wrong(format!("`{host}` cannot be used: {error}")))
}

fn wrong(what: impl std::fmt::Display) -> QueueError {
    QueueError::Options(format!("CROAK_REDIS_URL cannot be used: {what}; {FORMS}"))
}

#[cfg(test)]
mod tests {
    use redis::ConnectionAddr;

    use super::*;

    fn parse(url: &str) -> Address {
        Address::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn hosts(servers: &[ConnectionInfo]) -> Vec<String> {
        servers.iter().map(|server| server.addr().to_string()).collect()
    }

    fn login(info: &ConnectionInfo) -> (Option<&str>, Option<&str>, i64) {
        let settings = info.redis_settings();
        (settings.username(), settings.password(), settings.db())
    }

    #[test]
    fn one_server() {
        let Address::One(info) = parse("redis://gateway:p%40ss@redis.example:7000/3") else { panic!("one") };
        assert_eq!(info.addr().to_string(), "redis.example:7000");
        assert_eq!(login(&info), (Some("gateway"), Some("p@ss"), 3));
        let Address::One(info) = parse("rediss://[::1]") else { panic!("one") };
        assert!(matches!(info.addr(), ConnectionAddr::TcpTls { insecure: false, .. }));
        assert_eq!(info.addr().to_string(), "::1:6379");
        assert!(matches!(parse("unix:///run/redis.sock"), Address::One(_)));
    }

    #[test]
    fn sentinels_and_their_master() {
        let url = "redis-sentinel://gateway:secret@s1,s2:26380,[::1]:26381/croak-queue/2?sentinel_user=eye&sentinel_password=p%23";
        let Address::Sentinel { sentinels, master, server } = parse(url) else { panic!("sentinels") };
        assert_eq!(hosts(&sentinels), ["s1:26379", "s2:26380", "::1:26381"]);
        assert_eq!(login(&sentinels[1]), (Some("eye"), Some("p#"), 0));
        assert_eq!(master, "croak-queue");
        assert_eq!(login(&server), (Some("gateway"), Some("secret"), 2));
    }

    #[test]
    fn sentinels_that_ask_for_nothing_are_told_nothing() {
        let Address::Sentinel { sentinels, server, .. } = parse("rediss-sentinel://:secret@s1/main") else {
            panic!("sentinels")
        };
        assert_eq!((login(&sentinels[0]), login(&server)), ((None, None, 0), (None, Some("secret"), 0)));
        assert!([&sentinels[0], &server].iter().all(|info| matches!(info.addr(), ConnectionAddr::TcpTls { .. })));
    }

    #[test]
    fn servers_of_a_cluster() {
        let Address::Cluster(servers) = parse("redis-cluster://worker:secret@a:7000,b,10.0.0.3:7002/") else {
            panic!("a cluster")
        };
        assert_eq!(hosts(&servers), ["a:7000", "b:6379", "10.0.0.3:7002"]);
        assert!(servers.iter().all(|server| login(server) == (Some("worker"), Some("secret"), 0)));
        let Address::Cluster(servers) = parse("rediss-cluster://a") else { panic!("a cluster") };
        assert!(matches!(servers[0].addr(), ConnectionAddr::TcpTls { insecure: false, .. }));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right_and_without_the_password() {
        for (url, what) in [
            ("localhost:6379", "`://`"),
            ("http://u:s3cret@localhost", "`http` is not known"),
            ("redis://u:s3cret@a,b", "several servers"),
            ("redis://u:s3cret@a/x", "database number"),
            ("rediss://u:s3cret@a/#insecure", "certificates are always checked"),
            ("redis-sentinel://u:s3cret@a:26379", "name of the master is missing"),
            ("redis-sentinel://u:s3cret@a:26379//0", "name of the master is missing"),
            ("redis-sentinel://u:s3cret@a/main/x", "database number"),
            ("redis-sentinel://u:s3cret@a/main?password=s3cret", "sentinel_user"),
            ("redis-sentinel://u:s3cret@a,,b/main", "a host is missing"),
            ("redis-cluster://u:s3cret@", "a host is missing"),
            ("redis-cluster://u:s3cret@a:port", "`a:port` cannot be used"),
            ("redis-cluster://u:s3cret@a/1", "one database only"),
            ("redis-cluster://u:s3cret@a?x=1", "`?`"),
        ] {
            let error = Address::parse(url).expect_err(url).to_string();
            assert!(error.contains(what) && error.contains("redis-sentinel://[user:password@]"), "{url}: {error}");
            assert!(!error.contains("s3cret"), "{url}: {error}");
        }
    }
}
