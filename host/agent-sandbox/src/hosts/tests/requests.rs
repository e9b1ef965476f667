//! Requests: decided, announced, sent once, recorded.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_core::effect::EffectResult;
use agent_core::limits::Limits;
use agent_core::units::{Bytes, Millis};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wasmtime_wasi_http::{WasiBody, WasiHttpHooks};

use super::support::{Answer, Notes, notes, shown, state};
use crate::state::CallState;

/// A server that answers every request alike and writes down what it got, and what the gate had recorded by then.
struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answer` is sent as it is; empty means that the connection is closed without one, `wait` that none comes.
    async fn start(gate: &Arc<Notes>, answer: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, heard) = (listener.local_addr()?, Arc::default());
        let (gate, answer, notes) = (gate.clone(), answer.to_owned(), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (gate, answer, notes) = (gate.clone(), answer.clone(), Arc::clone(&notes));
                tokio::spawn(async move { serve(stream, &gate, &answer, &notes).await });
            }
        });
        Ok(Self { address, heard })
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(mut stream: TcpStream, gate: &Notes, answer: &str, heard: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).await?;
    let text = String::from_utf8_lossy(&request[..length]).into_owned();
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{:?} {text}", gate.lines()));
    match answer {
        "wait" => tokio::time::sleep(Duration::from_secs(60)).await,
        answer => stream.write_all(answer.as_bytes()).await?,
    }
    Ok(())
}

async fn send(state: &mut CallState, method: &str, url: &str, body: &'static [u8]) -> Result<(u16, String), String> {
    let body: WasiBody = Full::from(body).map_err(|never| match never {}).boxed_unsync();
    let request = http::Request::builder().method(method).uri(url).header("x-own", "1").body(body);
    let request = request.map_err(|error| error.to_string())?;
    let sending = state.sender.send_request(request, None, Box::new(async { Ok(()) }));
    let (response, _) = Pin::from(sending).await.map_err(|error| error.to_string())?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok((head.status.as_u16(), String::from_utf8_lossy(&body).into_owned()))
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// Sends one request to a server that answers so; gives what the guest saw, what was recorded and what the server heard.
async fn scene(
    gate: &Arc<Notes>,
    limits: Limits,
    (method, body): (&str, &'static [u8]),
    answer: &str,
) -> io::Result<(Result<(u16, String), String>, Vec<String>, Vec<String>)> {
    let server = Server::start(gate, answer).await?;
    let mut state = state(gate, Vec::new(), limits);
    let url = format!("http://{}/path?q", server.address);
    let seen = send(&mut state, method, &url, body).await;
    let effects = shown(&state.finish().await.effects);
    let effects = effects.iter().map(|line| line.replace(&server.address.to_string(), "server")).collect();
    Ok((seen, effects, server.heard()))
}

#[tokio::test]
async fn a_read_is_sent_and_recorded() -> io::Result<()> {
    let gate = notes(Answer::Allow);
    let (seen, effects, heard) = scene(&gate, Limits::STANDARD, ("GET", b""), OK).await?;
    assert_eq!(seen, Ok((200, "hello".to_owned())));
    assert_eq!(effects, ["1 GET http://server/path?q: done 200"]);
    assert!(heard.len() == 1 && heard[0].starts_with("[] GET /path?q HTTP/1.1\r\n") && heard[0].contains("x-own: 1"));
    assert_eq!(gate.lines(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn bytes_that_never_left_are_not_counted_as_left() -> io::Result<()> {
    // Nobody listens there any more.
    let nobody = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    for method in ["GET", "POST"] {
        let gate = notes(Answer::Allow);
        let mut unheard = state(&gate, Vec::new(), Limits::STANDARD);
        let seen = send(&mut unheard, method, &format!("http://{nobody}/"), b"four").await;
        let effect = unheard.finish().await.effects.remove(0);
        assert!(seen.is_err() && matches!(effect.result, EffectResult::NotSent(_)), "{seen:?} {:?}", effect.result);
        assert_eq!(effect.bytes_out, Bytes(0), "{method}");
        let server = Server::start(&gate, OK).await?;
        let mut heard = state(&gate, Vec::new(), Limits::STANDARD);
        let seen = send(&mut heard, method, &format!("http://{}/", server.address), b"four").await;
        assert!(seen.is_ok(), "{seen:?}");
        assert_eq!(heard.finish().await.effects[0].bytes_out, Bytes(4), "{method}");
    }
    Ok(())
}

/// The guest may still be told what an attempt before was told, while what it asked for is sent: that is no replay.
#[tokio::test]
async fn what_is_sent_beside_a_replay_is_not_recorded_as_replayed() -> io::Result<()> {
    for method in ["GET", "POST"] {
        let gate = notes(Answer::Allow);
        let server = Server::start(&gate, OK).await?;
        let mut state = state(&gate, Vec::new(), Limits::STANDARD);
        state.effects.replaying(true);
        let url = format!("http://{}/path", server.address);
        assert_eq!(send(&mut state, method, &url, b"").await, Ok((200, "hello".to_owned())));
        let replayed: Vec<_> = state.finish().await.effects.iter().map(|effect| effect.replayed).collect();
        assert_eq!(replayed, [false], "{method}");
    }
    Ok(())
}

#[tokio::test]
async fn a_write_is_announced_before_and_recorded_after() -> io::Result<()> {
    let gate = notes(Answer::Allow);
    let (seen, effects, heard) = scene(&gate, Limits::STANDARD, ("POST", b"body"), OK).await?;
    assert_eq!(seen, Ok((200, "hello".to_owned())));
    assert_eq!(effects, ["1 POST http://server/path?q: done 200"]);
    assert!(heard.len() == 1 && heard[0].starts_with(r#"["send 1 OpaqueWrite"] POST"#), "{heard:?}");
    assert_eq!(gate.lines(), ["send 1 OpaqueWrite", "answer 1: 27 bytes", "done 1: done 200"]);
    Ok(())
}

#[tokio::test]
async fn a_keyed_write_carries_the_hosts_key() -> io::Result<()> {
    let gate = notes(Answer::AllowKeyed);
    let (seen, _, heard) = scene(&gate, Limits::STANDARD, ("PUT", b"body"), OK).await?;
    assert!(seen.is_ok() && heard[0].contains("idempotency-key: ah1-key\r\n"), "{heard:?}");
    assert_eq!(gate.lines()[0], "send 1 KeyedWrite");
    Ok(())
}

#[tokio::test]
async fn a_write_without_an_answer_is_in_doubt_and_a_read_is_not() -> io::Result<()> {
    let limits = Limits { deadline: Millis(300), ..Limits::STANDARD };
    let gate = notes(Answer::Allow);
    let (_, effects, _) = scene(&gate, limits.clone(), ("POST", b"x"), "wait").await?;
    assert_eq!(
        effects[0],
        "1 POST http://server/path?q: net_timeout, unknown: the request took longer than its call may"
    );
    assert_eq!(gate.lines()[2], "done 1: unknown: the request took longer than its call may");
    let (_, effects, _) = scene(&gate, limits.clone(), ("POST", b"x"), "").await?;
    assert_eq!(effects[0], "1 POST http://server/path?q: unknown: the connection ended before the answer");
    let (_, effects, _) = scene(&gate, limits, ("GET", b""), "").await?;
    assert_eq!(effects[0], "1 GET http://server/path?q: failed: the connection ended before the answer");
    Ok(())
}

#[tokio::test]
async fn messages_are_bounded() -> io::Result<()> {
    let limits = Limits { http_request_bytes: Bytes(3), http_response_bytes: Bytes(4), ..Limits::STANDARD };
    let gate = notes(Answer::Allow);
    let (seen, effects, heard) = scene(&gate, limits.clone(), ("POST", b"body"), OK).await?;
    assert_eq!((seen.is_err(), heard.len()), (true, 0));
    assert_eq!(effects, ["1 POST http://server/path?q: net_limit, refused"]);
    let (seen, effects, _) = scene(&gate, limits.clone(), ("GET", b""), OK).await?;
    assert_eq!(seen, Err("HTTP response body size exceeds limit: 4 bytes".to_owned()));
    assert_eq!(effects, ["1 GET http://server/path?q: net_limit, failed: the answer is longer than 4 B"]);
    // A write took place all the same.
    let (_, effects, _) = scene(&gate, limits, ("POST", b"x"), OK).await?;
    assert_eq!(effects, ["1 POST http://server/path?q: net_limit, done 200, the answer is longer than 4 B"]);
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(65 << 10));
    let longer = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    for large in [long, longer, many] {
        let (seen, effects, _) = scene(&gate, Limits::STANDARD, ("GET", b""), &large).await?;
        assert!(seen.is_err());
        assert_eq!(effects, ["1 GET http://server/path?q: net_limit, failed: the answer's header is too large"]);
    }
    Ok(())
}

/// A server chooses its words: what is no plain answer is not passed on, and a storm ends at once.
#[tokio::test]
async fn odd_answers_are_refused() -> io::Result<()> {
    let storm = "HTTP/1.1 100 Continue\r\n\r\n".repeat(9);
    let polite = format!("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n{OK}");
    for (answer, recorded) in [
        (polite.as_str(), "done 200"),
        (&storm, "net_denied, failed: the server sends interim answers without end"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
            "net_denied, failed: the server wants to switch protocols",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "net_denied, failed: the answer is wrapped in a transfer coding beside `chunked`",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip, gzip\r\ncontent-length: 1\r\n\r\nx",
            "net_limit, failed: the answer is compressed more than once",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\ncontent-length: 1\r\n\r\nx",
            "net_denied, failed: the answer is compressed by a coding other than gzip, br and zstd",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx",
            "failed: the answer is not the gzip that its header says",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\nx",
            "net_limit, failed: the answer is longer than 8.00 MiB",
        ),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "failed: the server's answer is not HTTP/1.1"),
    ] {
        let (_, effects, heard) = scene(&notes(Answer::Allow), Limits::STANDARD, ("GET", b""), answer).await?;
        assert_eq!(effects, [format!("1 GET http://server/path?q: {recorded}")]);
        assert_eq!(heard.len(), 1, "{answer}");
    }
    Ok(())
}

/// The length in the answer to a `HEAD` is that of a body which does not come.
#[tokio::test]
async fn a_large_file_can_be_asked_about() -> io::Result<()> {
    let large = "HTTP/1.1 200 OK\r\ncontent-length: 9000000000\r\n\r\n";
    let (_, effects, _) = scene(&notes(Answer::Allow), Limits::STANDARD, ("HEAD", b""), large).await?;
    assert_eq!(effects, ["1 HEAD http://server/path?q: done 200"]);
    Ok(())
}

#[tokio::test]
async fn credentials_of_an_address_are_in_no_record() -> io::Result<()> {
    let mut state = state(&notes(Answer::Allow), Vec::new(), Limits::STANDARD);
    let seen = send(&mut state, "GET", "https://me:hunter2@example.org/private", b"").await;
    let effects = shown(&state.finish().await.effects);
    assert_eq!(seen, Err("HTTP request denied".to_owned()));
    assert_eq!(effects, ["1 GET https://example.org/private: net_denied, refused"]);
    Ok(())
}

#[tokio::test]
async fn a_request_is_written_by_the_host() -> io::Result<()> {
    let (_, _, heard) = scene(&notes(Answer::Allow), Limits::STANDARD, ("GET", b""), OK).await?;
    let head = heard[0].split_once("GET ").map_or("", |(_, head)| head);
    let fields: Vec<&str> = head.split("\r\n").filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    assert_eq!(fields, ["x-own", "host", "connection", "accept-encoding"], "{head}");
    Ok(())
}

#[tokio::test]
async fn what_is_refused_is_not_sent() -> io::Result<()> {
    let gate = notes(Answer::Deny);
    let (seen, effects, heard) = scene(&gate, Limits::STANDARD, ("GET", b""), OK).await?;
    assert_eq!((seen, heard.len()), (Err("HTTP request denied".to_owned()), 0));
    assert_eq!(effects, ["1 GET http://server/path?q: fs_denied, refused"]);
    let limits = Limits { http_requests: 0, ..Limits::STANDARD };
    let (_, effects, heard) = scene(&notes(Answer::Allow), limits, ("GET", b""), OK).await?;
    assert_eq!((effects[0].as_str(), heard.len()), ("1 GET http://server/path?q: net_limit, refused", 0));
    let (_, effects, _) = scene(&notes(Answer::Allow), Limits::STANDARD, ("CONNECT", b""), OK).await?;
    assert_eq!(effects, ["1 CONNECT http://server/path: net_denied, refused"]);
    Ok(())
}

#[tokio::test]
async fn a_name_does_not_lead_to_this_machine() -> io::Result<()> {
    let gate = notes(Answer::Allow);
    let server = Server::start(&gate, OK).await?;
    let mut state = state(&gate, Vec::new(), Limits::STANDARD);
    let url = format!("http://localhost:{}/", server.address.port());
    let seen = send(&mut state, "POST", &url, b"x").await;
    assert_eq!(seen, Err("destination IP address is prohibited".to_owned()));
    assert_eq!(server.heard(), Vec::<String>::new());
    // It was announced, so that it was not sent is recorded too.
    assert_eq!(
        gate.lines()[2],
        "done 1: not sent: the host's name leads to addresses that are not public: they are reached by address only, if granted"
    );
    Ok(())
}

#[tokio::test]
async fn a_redirect_is_the_guests_to_follow() -> io::Result<()> {
    let away = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let (seen, effects, heard) = scene(&notes(Answer::Allow), Limits::STANDARD, ("GET", b""), away).await?;
    assert_eq!((seen, heard.len(), effects.len()), (Ok((302, String::new())), 1, 1));
    Ok(())
}

#[tokio::test]
async fn a_write_is_recorded_though_its_guest_is_gone() -> io::Result<()> {
    let gate = notes(Answer::Allow);
    let slow = "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(&gate, slow).await?;
    let mut state = state(&gate, Vec::new(), Limits::STANDARD);
    let url = format!("http://{}/", server.address);
    {
        let mut sending = Box::pin(send(&mut state, "POST", &url, b"x"));
        while server.heard().is_empty() {
            let waited = tokio::time::timeout(Duration::from_millis(1), &mut sending).await;
            if waited.is_ok() {
                break;
            }
        }
    }
    let effects = shown(&state.finish().await.effects);
    assert!(effects.len() == 1 && effects[0].ends_with(": done 201"), "{effects:?}");
    assert_eq!(gate.lines().last().map(String::as_str), Some("done 1: done 201"));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_sent() -> io::Result<()> {
    let gate = notes(Answer::Closed);
    let (seen, _, heard) = scene(&gate, Limits::STANDARD, ("POST", b"x"), OK).await?;
    assert_eq!((seen.is_err(), heard.len()), (true, 0));
    Ok(())
}

/// Each request that a guest begins could otherwise have its whole body kept until its turn to be refused.
#[tokio::test]
async fn no_body_is_kept_of_a_request_beyond_the_limit() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits { http_requests: 0, ..Limits::STANDARD };
    let mut state = state(&notes(Answer::Allow), Vec::new(), limits);
    let unfinished = http_body_util::StreamBody::new(futures::stream::pending()).boxed_unsync();
    let request = http::Request::builder().method("POST").uri("http://127.0.0.1:9/").body(unfinished)?;
    let sending = state.sender.send_request(request, None, Box::new(async { Ok(()) }));
    let refused = tokio::time::timeout(Duration::from_secs(5), Pin::from(sending)).await?;
    assert!(refused.is_err());
    let effects = shown(&state.finish().await.effects);
    assert_eq!(effects, ["1 POST http://127.0.0.1:9/: net_limit, refused"]);
    Ok(())
}

/// A person may be asked for hours, and the guest may have trapped meanwhile.
#[tokio::test]
async fn a_call_that_ended_waits_for_no_decision() -> Result<(), String> {
    let gate = notes(Answer::Asks);
    let mut state = state(&gate, Vec::new(), Limits::STANDARD);
    let body: WasiBody = Full::from("10").map_err(|never| match never {}).boxed_unsync();
    let request = http::Request::builder().method("POST").uri("http://127.0.0.1:9/").body(body);
    let request = request.map_err(|error| error.to_string())?;
    let mut sending = Pin::from(state.sender.send_request(request, None, Box::new(async { Ok(()) })));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut sending).await.is_err(), "it is being decided");
    let account = tokio::time::timeout(Duration::from_secs(20), state.finish()).await;
    assert!(account.map_err(|late| late.to_string())?.effects.is_empty(), "nothing was sent");
    drop(sending);
    Ok(())
}
