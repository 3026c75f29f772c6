//! Redis and PostgreSQL for tests, alone and as people run them: watched by sentinels, in a cluster, over TLS, with a standby.

pub mod acl;
pub mod certificates;
mod cluster;
mod forwarder;
mod postgres;
mod redis;
mod sentinel;

pub use certificates::Certificates;
pub use cluster::Cluster;
pub use forwarder::Forwarder;
pub use postgres::{Archive, Database, Postgres};
pub use redis::{Redis, RedisLimits, ask};
pub use sentinel::Watched;

#[cfg(test)]
mod tests {
    use sqlx::{Connection, PgConnection};

    use super::*;

    #[tokio::test]
    async fn a_killed_redis_comes_back_empty() {
        let mut redis = Redis::start(RedisLimits { memory_mb: 64 }).await;
        redis.ask(&["SET", "a", "1"]).await.expect("redis takes it");
        redis.kill();
        redis.start_again().await;
        assert_eq!(redis.ask(&["DBSIZE"]).await.expect("redis answers"), ::redis::Value::Int(0));
    }

    #[tokio::test]
    async fn a_killed_postgres_comes_back_with_what_it_committed() {
        let mut postgres = Postgres::start().await;
        let database = Database::create(&postgres.url("postgres")).await;
        let mut before = PgConnection::connect(&database.url()).await.expect("a connection");
        sqlx::raw_sql("create table kept (n int); insert into kept values (7)")
            .execute(&mut before)
            .await
            .expect("it is written");
        postgres.kill();
        assert!(sqlx::raw_sql("select 1").execute(&mut before).await.is_err());
        postgres.start_again().await;
        let mut after = PgConnection::connect(&database.url()).await.expect("a connection");
        let kept: i32 =
            sqlx::query_scalar("select n from kept").fetch_one(&mut after).await.expect("the table is there");
        assert_eq!(kept, 7);
        let acting: String = {
            sqlx::raw_sql(
                "do $$ begin create role croak_probe nologin; exception when duplicate_object then null; end $$",
            )
            .execute(&mut after)
            .await
            .expect("a role");
            let mut probe =
                PgConnection::connect(&database.url_as("croak_probe")).await.expect("a connection as a role");
            sqlx::query_scalar("select current_user::text").fetch_one(&mut probe).await.expect("a name")
        };
        assert_eq!(acting, "croak_probe");
    }
}
