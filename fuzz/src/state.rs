//! Rows of a state file that no exporter has written. A row is its table and its number, a byte each, its length,
//! two of them, and its content.

use kapso_exporter::account::{Account, Saved, Settings, VERSION};

/// Rows are refused, or they are an account that writes the same rows again.
pub fn run(data: &[u8]) {
    let Ok(mut account) = Account::restore(Settings::default(), &read(data)) else { return };
    assert_eq!(account.take_changes().len(), 0, "nothing changed yet");
    account.track();
    let rows = Saved::from(account.take_changes());
    let mut again = Account::restore(Settings::default(), &rows).expect("its own rows are read");
    assert_eq!(
        (again.ledger.workflows().len(), again.ledger.remembered_conversations()),
        (account.ledger.workflows().len(), account.ledger.remembered_conversations())
    );
    assert_eq!(
        (again.ledger.remembered(), again.ledger.open_executions()),
        (account.ledger.remembered(), account.ledger.open_executions())
    );
    again.track();
    assert_eq!(Saved::from(again.take_changes()), rows);
}

fn read(mut data: &[u8]) -> Saved {
    let mut saved = Saved { format: VERSION, ..Saved::default() };
    while let [table, number, low, high, rest @ ..] = data {
        let (content, rest) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes([*low, *high]))));
        let row = (u32::from(*number), content.to_vec());
        match table % 5 {
            _ if *table == 255 => saved.outcomes.push(row),
            0 => saved.watermarks = row.1,
            1 => saved.workflows.push(row),
            2 => saved.conversations.push(row),
            3 => saved.executions.push(row),
            _ => saved.archive.push(row),
        }
        data = rest;
    }
    saved
}
