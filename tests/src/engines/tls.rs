//! Nothing goes over the wire in the clear, and nobody may more than needed.

use super::trial::{Addresses, Trial, prefix};
use super::{Pace, Report};
use crate::port::Port;
use crate::servers::acl::{Users, gateway_login, users, worker_login};
use crate::servers::certificates::text;
use crate::servers::{Certificates, Postgres, Redis};

pub(super) async fn run(pace: Pace) -> Report {
    let prefix = prefix();
    let certificates = Certificates::new().for_postgres();
    let (server, client) = (certificates.server(), certificates.client());
    let authority = text(&certificates.authority());
    let (certificate, key) = (text(&server.certificate), text(&server.key));

    let port = Port::free();
    let mut settings = users(Users::Plain, &prefix);
    let files = [
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &authority,
        "--tls-auth-clients",
        "yes",
    ];
    settings.extend(files.map(str::to_owned));
    settings.extend(["--tls-port".to_owned(), port.number().to_string()]);
    let postgres = format!("ssl = on\nssl_cert_file = '{certificate}'\nssl_key_file = '{key}'");
    let (mut redis, mut postgres) = tokio::join!(Redis::start_with(&settings), Postgres::start_with(&postgres));

    let addresses = Addresses {
        postgres: format!("{}?sslmode=verify-full&sslrootcert={authority}", postgres.url("postgres")),
        redis_for_worker: format!("rediss://{}@localhost:{}", worker_login(), port.number()),
        redis_for_gateway: format!("rediss://{}@localhost:{}", gateway_login(), port.number()),
        prefix: &prefix,
        settings: vec![
            ("CROAK_REDIS_CA_FILE", authority.clone()),
            ("CROAK_REDIS_CERT_FILE", text(&client.certificate)),
            ("CROAK_REDIS_KEY_FILE", text(&client.key)),
        ],
    };
    let mut trial = Trial::begin("tls", pace, addresses).await;
    trial.quiet_ones_speak().await;
    assert_encrypted(&redis, &postgres, port.number()).await;

    trial.says("Redis is killed");
    redis.kill();
    redis.start_again().await;
    trial.goes_on().await;
    trial.says("PostgreSQL is killed");
    postgres.kill();
    postgres.start_again().await;
    trial.goes_on().await;
    assert_encrypted(&redis, &postgres, port.number()).await;
    assert_nobody_was_refused(&redis).await;
    trial.end().await
}

/// Every connection of Croak's is one with TLS.
async fn assert_encrypted(redis: &Redis, postgres: &Postgres, tls_port: u16) {
    let list: String = ask(redis, &["CLIENT", "LIST"]).await;
    let ours: Vec<&str> = list.lines().filter(|line| !line.contains("user=default")).collect();
    assert!(ours.len() >= 3, "a gateway and two workers are connected:\n{list}");
    let is_tls = |line: &&str| line.contains(&format!("laddr=127.0.0.1:{tls_port} "));
    assert!(ours.iter().all(is_tls), "not all came in by the port with TLS:\n{list}");
    let count =
        "select count(*) from pg_stat_activity join pg_stat_ssl using (pid) where application_name like 'croak-%'";
    let plain = "select count(*) from pg_stat_activity join pg_stat_ssl using (pid) where application_name like 'croak-%' and not ssl";
    assert!(postgres.number(count).await >= Some(2), "the workers are connected");
    assert_eq!(postgres.number(plain).await, Some(0), "all of them with TLS");
}

/// The rights are all that is needed.
async fn assert_nobody_was_refused(redis: &Redis) {
    let refused: redis::Value = redis.ask(&["ACL", "LOG"]).await.expect("redis answers");
    assert_eq!(refused, redis::Value::Array(Vec::new()), "somebody was refused a command");
}

async fn ask(redis: &Redis, words: &[&str]) -> String {
    redis::from_redis_value(redis.ask(words).await.expect("redis answers")).expect("text")
}
