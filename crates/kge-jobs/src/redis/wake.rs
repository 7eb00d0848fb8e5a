//! Hearing what changed: a subscription to the store's channel, behind it a slow poll.
//!
//! Every transition publishes what it touched. A message is a hint: those of a moment without
//! connection are lost, so whoever waits looks again every [`SLOW_POLL`], and everybody is woken
//! when the subscription stands again.

use std::{sync::Arc, time::Duration};

use fred::{
    clients::SubscriberClient,
    interfaces::{EventInterface, PubsubInterface},
};
use tokio::sync::broadcast::error::RecvError;

use super::link::{AbortOnDrop, keep};
use crate::{TaskId, waiters::Waiters};

/// How late a waiter may be when a message is lost.
pub(super) const SLOW_POLL: Duration = Duration::from_secs(2);

/// Listens for ever.
pub(super) async fn listen(client: SubscriberClient, channel: String, waiters: Arc<Waiters>) {
    let mut messages = client.message_rx();
    let everybody = waiters.clone();
    let _hearing = AbortOnDrop(tokio::spawn(async move {
        loop {
            match messages.recv().await {
                Ok(message) => hear(&message.value.as_str_lossy().unwrap_or_default(), &waiters),
                Err(RecvError::Lagged(_)) => waiters.ring_everything(),
                Err(RecvError::Closed) => return,
            }
        }
    }));
    let subscriber = client.clone();
    keep(client, move |news| {
        let (client, channel, waiters) = (subscriber.clone(), channel.clone(), everybody.clone());
        Box::pin(async move {
            let hears = news.is_ok() && client.subscribe(channel).await.is_ok();
            if hears {
                waiters.ring_everything();
            }
            hears
        })
    })
    .await;
}

fn hear(words: &str, waiters: &Waiters) {
    for word in words.split(' ') {
        match word.parse() {
            Ok(task) => waiters.ring(TaskId(task)),
            Err(_) => waiters.work_appeared(),
        }
    }
}
