//! Rows of a state file that no exporter has written. A row is its table and its number, a byte each, its length,
//! two of them, and its content.

use kapso_exporter::ledger::{Ledger, Saved, Settings, VERSION};

/// Rows are refused, or they are a ledger that writes the same rows again.
pub fn run(data: &[u8]) {
    let Ok(mut ledger) = Ledger::restore(Settings::default(), &read(data)) else { return };
    assert_eq!(ledger.take_changes().len(), 0, "nothing changed yet");
    ledger.track();
    let rows = Saved::from(ledger.take_changes());
    let mut again = Ledger::restore(Settings::default(), &rows).expect("its own rows are read");
    assert_eq!(
        (again.workflows().len(), again.remembered_conversations()),
        (ledger.workflows().len(), ledger.remembered_conversations())
    );
    assert_eq!(
        (again.remembered(), again.open_executions()),
        (ledger.remembered(), ledger.open_executions())
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
