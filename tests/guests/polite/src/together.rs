//! An `async` tool: several requests at once.

use agent_host_tool::http::{Error, Request};
use agent_host_tool::{Json, args, task, tool};

/// Pages to ask for.
#[args]
pub(crate) struct Pages {
    urls: Vec<String>,
}

/// Asks for all of them at once, and says which status each has.
#[tool]
pub(crate) async fn statuses(pages: Pages) -> Result<Json<Vec<u16>>, Error> {
    let statuses = task::all(pages.urls.into_iter().map(status)).await;
    Ok(Json(statuses.into_iter().collect::<Result<_, _>>()?))
}

async fn status(url: String) -> Result<u16, Error> {
    Ok(Request::get(&url).send_async().await?.status)
}
