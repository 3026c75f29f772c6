//! The statements that were checked when this was built fit the tables that the migrations make: every one of `.sqlx` is prepared
//! against a database that is as new as they are, and its parameters and columns are held against what the compiler was told.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::Path;

use serde_json::Value;
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Executor as _, PgConnection, SqlSafeStr as _, Statement as _,
    TypeInfo as _,
};

#[tokio::test]
async fn every_statement_fits_the_tables_that_the_migrations_make() {
    let server = std::env::var("CROAK_TEST_DATABASE_URL").expect("CROAK_TEST_DATABASE_URL is set (script/test does)");
    let mut admin = PgConnection::connect(&server).await.unwrap();
    let name = format!("croak_offline_sql_{}", uuid::Uuid::new_v4().simple());
    admin.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    let (address, _) = server.rsplit_once('/').unwrap();
    let url = format!("{address}/{name}");

    store::migrate(&url).await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let (mut checked, mut wrong) = (0, Vec::new());
    for file in Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx").read_dir().unwrap() {
        let told: Value = serde_json::from_str(&std::fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
        if let Err(difference) = differences(&mut connection, &told).await {
            wrong.push(format!("{difference}\n    in {}", told["query"].as_str().unwrap()));
        }
        checked += 1;
    }
    connection.close().await.unwrap();
    admin.execute(AssertSqlSafe(format!("drop database {name} with (force)"))).await.unwrap();

    assert!(checked > 50, "only {checked} statements are in .sqlx: run script/sql");
    assert!(
        wrong.is_empty(),
        "run script/sql: {} of {checked} statements do not fit:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Prepares one statement and says what is not as the compiler was told.
async fn differences(connection: &mut PgConnection, told: &Value) -> Result<(), String> {
    let query = AssertSqlSafe(told["query"].as_str().unwrap().to_owned()).into_sql_str();
    let statement = connection.prepare(query).await.map_err(|error| error.to_string())?;
    let found: Vec<(String, String)> =
        statement.columns().iter().map(|column| (column.name().to_owned(), plain(column.type_info().name()))).collect();
    let columns = told["describe"]["columns"].as_array().unwrap();
    let expected: Vec<(String, String)> = columns
        .iter()
        .map(|column| (column["name"].as_str().unwrap().to_owned(), type_name(&column["type_info"])))
        .collect();
    if found != expected {
        return Err(format!("columns are {found:?}, were {expected:?}"));
    }
    let parameters: Vec<String> = statement
        .parameters()
        .and_then(sqlx::Either::left)
        .unwrap_or_default()
        .iter()
        .map(|kind| plain(kind.name()))
        .collect();
    let expected: Vec<String> =
        told["describe"]["parameters"]["Left"].as_array().into_iter().flatten().map(type_name).collect();
    if parameters != expected {
        return Err(format!("parameters are {parameters:?}, were {expected:?}"));
    }
    Ok(())
}

/// A type as `.sqlx` writes it: a word, or for one that is not built in an object with its name.
fn type_name(told: &Value) -> String {
    match told {
        Value::String(name) => plain(name),
        Value::Object(kinds) => {
            let kind = kinds.values().next().unwrap();
            plain(kind["name"].as_str().or_else(|| kind.as_str()).unwrap())
        }
        other => panic!("{other} is no type"),
    }
}

/// `Int8Array`, `INT8[]` and `_int8` are one type.
fn plain(name: &str) -> String {
    let name = name.to_lowercase();
    let element = name.strip_suffix("array").or_else(|| name.strip_suffix("[]")).or_else(|| name.strip_prefix('_'));
    element.map_or_else(|| name.clone(), |element| format!("{element}[]"))
}
