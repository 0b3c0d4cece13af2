//! tokio-postgres: runs the steps it is asked for and prints one JSON object for each.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, TryStreamExt, pin_mut};
use rust_decimal::Decimal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Row, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

type Failure = Box<dyn Error + Send + Sync>;
type Lines = Result<Vec<String>, Failure>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut connected = connect().await.unwrap_or_else(|error| fail("connect", &error));
    let wanted = setting("STEPS");
    for step in wanted.split(',') {
        match run(step, &mut connected).await {
            Ok(result) => println!("{}", json!({"step": step, "ok": true, "result": result})),
            Err(error) => fail(step, &error),
        }
    }
}

async fn run(step: &str, connected: &mut Connected) -> Lines {
    let client = &mut connected.client;
    match step {
        "connect" => rows(client, "select current_database()").await,
        "simple" => simple(client).await,
        "parameters" => parameters(client).await,
        "types-text" => types_text(client).await,
        "types-binary" => types_binary(client).await,
        "types-own" => types_own(client).await,
        "prepared" => prepared(client).await,
        "pipeline" => pipeline(client).await,
        "transaction" => transaction(client).await,
        "copy-in" => copy_in(client).await,
        "copy-out" => copy_out(client).await,
        "cancel" => cancel(client).await,
        "listen" => listen(connected).await,
        "million" => million(client).await,
        "denied" => denied(client).await,
        _ => Err("this client does not know the step".into()),
    }
}

struct Connected {
    client: Client,
    notifications: UnboundedReceiver<String>,
}

async fn connect() -> Result<Connected, Failure> {
    let mut config = Config::new();
    config.host(setting("DB_HOST")).port(setting("DB_PORT").parse()?).user(setting("DB_USER")).dbname(setting("DB_NAME"));
    if let Ok(password) = std::env::var("DB_PASSWORD") {
        config.password(password);
    }
    // The name that the gateway must prove, and where it is.
    if let Ok(address) = std::env::var("DB_ADDRESS") {
        config.hostaddr(address.parse()?);
    }
    let (sender, notifications) = unbounded_channel();
    macro_rules! drive {
        ($tls:expr) => {{
            let (client, mut connection) = config.connect($tls).await?;
            tokio::spawn(async move {
                let mut messages = futures_util::stream::poll_fn(move |cx| connection.poll_message(cx));
                while let Some(Ok(message)) = messages.next().await {
                    if let AsyncMessage::Notification(heard) = message {
                        let _ = sender.send(format!("{}:{}", heard.channel(), heard.payload()));
                    }
                }
            });
            client
        }};
    }
    let client = match tls()? {
        Some(tls) => {
            config.ssl_mode(SslMode::Require);
            if setting("DB_NEGOTIATION") == "direct" {
                config.ssl_negotiation(SslNegotiation::Direct);
            }
            drive!(tls)
        }
        None => drive!(NoTls),
    };
    Ok(Connected { client, notifications })
}

/// Always verifies chain and name.
fn tls() -> Result<Option<MakeRustlsConnect>, Failure> {
    let Ok(certificate) = std::env::var("DB_CERTIFICATE") else { return Ok(None) };
    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(setting("DB_ROOTS"))? {
        roots.add(root?)?;
    }
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(setting("DB_KEY"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    Ok(Some(MakeRustlsConnect::new(config)))
}

async fn simple(client: &Client) -> Lines {
    let messages = client.simple_query("select 0; select id, name from items order by id").await?;
    Ok(text_rows(&messages).split_off(1))
}

async fn parameters(client: &Client) -> Lines {
    let text = "select $1::int4 + 1, $2::text || '!', $3::bool, $4::text";
    let row = client.query_one(text, &[&41, &"ünï", &true, &None::<String>]).await?;
    Ok(vec![show_row(&row)?])
}

async fn types_text(client: &Client) -> Lines {
    Ok(text_rows(&client.simple_query("select * from kinds order by id").await?))
}

async fn types_binary(client: &Client) -> Lines {
    rows(client, "select * from kinds order by id").await
}

/// The driver reads values of such types only into types of the program; what it found out about them is shown instead.
async fn types_own(client: &Client) -> Lines {
    let found = client.query("select * from homes order by id", &[]).await?;
    let columns = found.first().ok_or("no row")?.columns();
    Ok(columns.iter().map(|column| format!("{:?}", column.type_().kind())).collect())
}

async fn prepared(client: &Client) -> Lines {
    let other = connect().await?.client;
    let mut found = Vec::new();
    for each in [client, &other] {
        let statement = each.prepare("select name from items where id = $1").await?;
        for id in 1..=3 {
            found.push(show_row(&each.query_one(&statement, &[&id]).await?)?);
        }
    }
    Ok(found)
}

/// Queries polled at once are sent without waiting, each with a Sync of its own.
async fn pipeline(client: &Client) -> Lines {
    let one = client.prepare("select $1::int").await?;
    let twice = client.prepare("insert into items values ($1, 'twice', 0)").await?;
    let (first, bad, last) = tokio::join!(
        client.query_one(&one, &[&1]),
        client.execute(&twice, &[&1]),
        client.query_one(&one, &[&2]),
    );
    Ok(vec![show_row(&first?)?, code(bad)?, show_row(&last?)?])
}

async fn transaction(client: &mut Client) -> Lines {
    let mut outer = client.transaction().await?;
    outer.batch_execute("insert into items values (100, 'gear', 1)").await?;
    let inner = outer.savepoint("a").await?;
    let bad = code(inner.execute("insert into items values ($1, 'twice', 1)", &[&1]).await)?;
    inner.rollback().await?;
    outer.execute("insert into items values ($1, 'hinge', 1)", &[&101]).await?;
    outer.commit().await?;
    let mut found = vec![bad];
    found.extend(rows(client, "select count(*) from items where id >= 100").await?);
    client.batch_execute("delete from items where id >= 100").await?;
    Ok(found)
}

async fn copy_in(client: &Client) -> Lines {
    let text = "copy loads (id, note) from stdin";
    let sink = client.copy_in(text).await?;
    pin_mut!(sink);
    for id in 1..=10_000 {
        sink.feed(Bytes::from(format!("{id}\tnote {id}\n"))).await?;
    }
    sink.finish().await?;
    let mut found = rows(client, "select count(*), sum(id) from loads").await?;
    client.batch_execute("delete from loads").await?;
    let bad = client.copy_in(text).await?;
    pin_mut!(bad);
    bad.feed(Bytes::from_static(b"nothing\tof a number\n")).await?;
    found.push(code(bad.finish().await)?);
    Ok(found)
}

async fn copy_out(client: &Client) -> Lines {
    let text = "copy (select n, 'note ' || n from generate_series(1, 10000) n) to stdout";
    let chunks: Vec<Bytes> = client.copy_out(text).await?.try_collect().await?;
    Ok(vec![chunks.iter().map(Bytes::len).sum::<usize>().to_string()])
}

async fn cancel(client: &Client) -> Lines {
    println!("{}", json!({"step": "cancel", "waiting": true}));
    let token = client.cancel_token();
    let asked = async move {
        tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
        match tls()? {
            Some(tls) => token.cancel_query(tls).await?,
            None => token.cancel_query(NoTls).await?,
        }
        Ok::<(), Failure>(())
    };
    let (ended, asked) = tokio::join!(client.batch_execute("select pg_sleep(60)"), asked);
    asked?;
    let mut found = vec![code(ended)?];
    found.extend(rows(client, "select 1").await?);
    Ok(found)
}

async fn listen(connected: &mut Connected) -> Lines {
    connected.client.batch_execute("listen news").await?;
    connect().await?.client.batch_execute("notify news, 'fresh'").await?;
    let heard = connected.notifications.recv().await.ok_or("the connection ended")?;
    connected.client.batch_execute("unlisten news").await?;
    Ok(vec![heard])
}

async fn million(client: &Client) -> Lines {
    let text = "select n, md5(n::text) from generate_series(1, 1000000) n";
    let result = client.query_raw(text, Vec::<i32>::new()).await?;
    pin_mut!(result);
    let (mut count, mut sum) = (0, 0);
    while let Some(row) = result.try_next().await? {
        count += 1;
        sum += i64::from(row.try_get::<_, i32>(0)?);
    }
    Ok(vec![count.to_string(), sum.to_string()])
}

async fn denied(client: &Client) -> Lines {
    let simple = code(client.batch_execute("select * from private").await)?;
    let extended = code(client.query("select * from private where id = $1", &[&1]).await)?;
    let mut found = vec![simple, extended];
    found.push(show_row(&client.query_one("select $1::int", &[&1]).await?)?);
    Ok(found)
}

async fn rows(client: &Client, text: &str) -> Lines {
    client.query(text, &[]).await?.iter().map(show_row).collect()
}

fn text_rows(messages: &[SimpleQueryMessage]) -> Vec<String> {
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| (0..row.len()).map(|i| row.get(i).unwrap_or("NULL")).collect::<Vec<_>>().join("|")).collect()
}

fn show_row(row: &Row) -> Result<String, Failure> {
    let cells: Result<Vec<String>, Failure> = (0..row.len()).map(|i| show(row, i)).collect();
    Ok(cells?.join("|"))
}

fn show(row: &Row, i: usize) -> Result<String, Failure> {
    macro_rules! cell {
        ($kind:ty) => {
            row.try_get::<_, Option<$kind>>(i)?.map(|value| format!("{value:?}"))
        };
    }
    let cell = match *row.columns()[i].type_() {
        Type::BOOL => cell!(bool),
        Type::INT2 => cell!(i16),
        Type::INT4 => cell!(i32),
        Type::INT8 => cell!(i64),
        Type::FLOAT4 => cell!(f32),
        Type::FLOAT8 => cell!(f64),
        Type::NUMERIC => row.try_get::<_, Option<Decimal>>(i)?.map(|value| value.to_string()),
        Type::TIMESTAMPTZ => cell!(chrono::DateTime<chrono::Utc>),
        Type::DATE => cell!(chrono::NaiveDate),
        Type::UUID => cell!(uuid::Uuid),
        Type::BYTEA => cell!(Vec<u8>),
        Type::JSONB => row.try_get::<_, Option<serde_json::Value>>(i)?.map(|value| value.to_string()),
        Type::INT4_ARRAY => cell!(Vec<Option<i32>>),
        Type::TEXT_ARRAY => cell!(Vec<Option<String>>),
        _ => row.try_get::<_, Option<String>>(i)?,
    };
    Ok(cell.unwrap_or_else(|| "NULL".into()))
}

/// SQLSTATE with which that failed.
fn code<T>(result: Result<T, tokio_postgres::Error>) -> Result<String, Failure> {
    match result {
        Ok(_) => Err("it did not fail".into()),
        Err(error) => Ok(error.code().ok_or_else(|| error.to_string())?.code().to_string()),
    }
}

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| fail(name, &"is not set".into()))
}

fn fail(step: &str, error: &Failure) -> ! {
    println!("{}", json!({"step": step, "ok": false, "error": format!("{error:?}")}));
    std::process::exit(1)
}
