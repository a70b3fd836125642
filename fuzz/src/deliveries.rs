//! Bodies of webhook deliveries, signed as Kapso signs them.

use hmac::{Hmac, KeyInit, Mac};
use kapso_exporter::{
    account::{Account, Settings},
    kapso::webhook::{Headers, Refusal, Told, open},
    model::ReasonRule,
};
use sha2::Sha256;

const SECRET: &str = "secret";

/// Every body that is signed is read or malformed, without its signature it is refused, and what it tells is taken in
/// once.
pub fn run(data: &[u8]) {
    let rules = [ReasonRule::new("billing", "invoice").expect("a rule")];
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length").chain_update(data);
    let signature = hex::encode(mac.finalize().into_bytes());
    let headers = Headers { signature: Some(&signature), key: Some("key"), ..Headers::default() };
    let refused = open(&[SECRET.into()], Headers { signature: None, ..headers }, data, &rules);
    assert_eq!(refused, Err(Refusal::Unauthorized));
    let Ok(told) = open(&[SECRET.into()], headers, data, &rules) else { return };
    let mut account = Account::new(Settings { expects_deliveries: true, ..Settings::default() });
    let now = "2026-01-01T00:00:00Z".parse().expect("a time");
    account.ledger.watch_from(now);
    take(&mut account, &told, now);
    let awaited = account.ledger.awaited();
    take(&mut account, &told, now);
    assert_eq!(account.ledger.awaited(), awaited);
    account.prune(now);
}

fn take(account: &mut Account, told: &[Told], now: jiff::Timestamp) {
    for delivery in told.iter().filter_map(|told| told.delivery.as_ref()) {
        let _ = account.deliver(delivery, now);
    }
}
