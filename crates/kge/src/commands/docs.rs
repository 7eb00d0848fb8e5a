//! `kge docs`: a folder of pages over HTTP.

use serde_json::json;

use super::{Failure, Result, worker::on_signal};
use crate::cli;

pub(super) async fn docs(args: &cli::Docs, json: bool) -> Result {
    if !args.pages.join("index.html").is_file() {
        return Err(Failure::usage(format!("{}: there is no index.html", args.pages.display())));
    }
    let config = kge_server::Config { listen: args.listen, ..kge_server::Config::default() };
    let listener = kge_server::bind(&config).await?;
    let address = listener.address();
    let shutdown = on_signal()?;
    if json {
        println!("{}", json!({ "address": format!("http://{address}"), "port": address.port() }));
    } else {
        println!("listening on http://{address}");
    }
    kge_server::serve_pages(listener, &args.pages, shutdown.cancelled()).await;
    Ok(())
}
