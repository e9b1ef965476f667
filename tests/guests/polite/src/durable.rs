//! A call that a killed host must take up in its middle: it has a file and a folder half read when it pays.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agent_host_tool::http::Request;
use agent_host_tool::{Json, args, json, path, serde_json::Value, task, tool};

use crate::world::random_bytes;

/// Longest receipt.
const RECEIPT_BYTES_MAX: usize = 4096;

/// An order, where to pay, and where to write it down.
#[args]
pub(crate) struct Order {
    /// A file, of which half is read before paying and half after.
    order: String,
    /// Where the payments go: one request each.
    urls: Vec<String>,
    /// The file that is written before and after paying.
    receipt: String,
}

/// Pays once at each URL, one after the other, in the middle of reading and writing files.
#[tool]
pub(crate) fn pay(order: Order) -> Result<Json<Value>, String> {
    let problem = |error: io::Error| error.to_string();
    let mut file = File::open(path::resolve(&order.order)).map_err(problem)?;
    let mut first = [0; 4];
    file.read_exact(&mut first).map_err(problem)?;
    let mut names = fs::read_dir(path::resolve(".")).map_err(problem)?;
    let mut seen: Vec<String> =
        names.by_ref().take(1).flatten().map(|e| e.file_name().to_string_lossy().into()).collect();
    let begun = Instant::now();
    thread::sleep(Duration::from_millis(20));
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let random = random_bytes();
    fs::write(path::resolve(&order.receipt), "paying\n").map_err(problem)?;
    writeln!(io::stdout(), "about to pay").map_err(problem)?;

    let mut receipts = Vec::new();
    for url in &order.urls {
        // Chance and time are in it as bytes: how much it takes to write a number down depends on the number.
        let body = [first.as_slice(), &random, &(at.as_millis() as u64).to_be_bytes()].concat();
        let response = Request::post(url, body).send().map_err(|error| error.to_string())?;
        let (receipt, _) = response.read(RECEIPT_BYTES_MAX).map_err(|error| error.to_string())?;
        let receipt = String::from_utf8_lossy(&receipt).into_owned();
        let mut written = OpenOptions::new().append(true).open(path::resolve(&order.receipt)).map_err(problem)?;
        writeln!(written, "{receipt}").map_err(problem)?;
        receipts.push(receipt);
    }

    let mut rest = String::new();
    file.read_to_string(&mut rest).map_err(problem)?;
    seen.extend(names.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()));
    seen.sort();
    writeln!(io::stdout(), "paid").map_err(problem)?;
    Ok(Json(json!({
        "first": String::from_utf8_lossy(&first),
        "rest": rest,
        "names": seen,
        "receipts": receipts,
        "elapsed_ms": begun.elapsed().as_millis() as u64,
    })))
}

/// Where to look, and where to pay.
#[args]
pub(crate) struct Check {
    /// What is looked at before and after paying, by the same request.
    price: String,
    /// Where the payment goes.
    url: String,
}

/// Looks, pays and looks again, and says what came of each, whatever that is.
#[tool]
pub(crate) fn check_and_pay(check: Check) -> Json<Value> {
    let look = Request::get(&check.price);
    let [before, paid, after] = [look.clone(), Request::post(&check.url, b"10".to_vec()), look]
        .map(|request| answer(&request).unwrap_or_else(|why| why));
    Json(json!({"before": before, "paid": paid, "after": after}))
}

fn answer(request: &Request) -> Result<String, String> {
    let response = request.send().map_err(|error| error.to_string())?;
    let (body, _) = response.read(RECEIPT_BYTES_MAX).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Where to pay last.
#[args]
pub(crate) struct LastOrder {
    /// Where the payment goes.
    url: String,
}

/// Pays, and panics whatever came of it.
#[tool]
pub(crate) fn pay_and_panic(order: LastOrder) -> String {
    let answered = Request::post(&order.url, b"10".to_vec()).send().is_ok();
    panic!("answered: {answered}")
}

/// Where to pay at the same time, and where to write it down.
#[args]
pub(crate) struct Orders {
    /// Where the payments go: one request each, all under way at once.
    urls: Vec<String>,
    /// The file that is written before and after paying.
    receipt: String,
}

/// Pays at all URLs at once, between two writes of a file.
#[tool]
pub(crate) async fn pay_together(orders: Orders) -> Result<Json<Value>, String> {
    let problem = |error: io::Error| error.to_string();
    fs::write(path::resolve(&orders.receipt), "paying\n").map_err(problem)?;
    let receipts = task::all(orders.urls.into_iter().map(pay_one)).await;
    let receipts = receipts.into_iter().collect::<Result<Vec<_>, _>>()?;
    fs::write(path::resolve(&orders.receipt), receipts.join("\n")).map_err(problem)?;
    Ok(Json(json!(receipts)))
}

async fn pay_one(url: String) -> Result<String, String> {
    let response = Request::post(&url, b"10".to_vec()).send_async().await.map_err(|error| error.to_string())?;
    let (receipt, _) = response.read(RECEIPT_BYTES_MAX).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&receipt).into_owned())
}
