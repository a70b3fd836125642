//! What happens to replicas, drawn from a seed.

use std::time::Duration;

use fastrand::Rng;

/// What happens to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// SIGKILL, and another process after so long.
    Kill { slot: usize, away: Duration },
    /// The same to two of them at once.
    KillTwo { slots: [usize; 2], away: Duration },
    /// SIGSTOP, and SIGCONT after so long.
    Freeze { slot: usize, time: Duration },
    /// SIGTERM, and another process after so long.
    Stop { slot: usize, away: Duration },
}

/// An event, and how long all is well after it.
#[derive(Clone, Copy, Debug)]
pub struct Drawn {
    pub event: Event,
    pub pause: Duration,
}

/// So many events to so many replicas, whose leases last for `ttl`. Nobody stands still for less.
pub fn draw(seed: u64, count: u64, replicas: usize, ttl: Duration) -> Vec<Drawn> {
    let mut rng = Rng::with_seed(seed);
    (0..count)
        .map(|_| Drawn { event: event(&mut rng, replicas, ttl), pause: within(&mut rng, 100, 2500) })
        .collect()
}

fn event(rng: &mut Rng, replicas: usize, ttl: Duration) -> Event {
    let slot = rng.usize(..replicas);
    match rng.u32(..10) {
        0..4 => Event::Kill { slot, away: within(rng, 0, 4000) },
        4..7 => Event::Freeze { slot, time: ttl + within(rng, 200, 2500) },
        7..9 => Event::Stop { slot, away: within(rng, 0, 2500) },
        _ => Event::KillTwo {
            slots: [slot, (slot + 1 + rng.usize(..replicas - 1)) % replicas],
            away: within(rng, 0, 4000),
        },
    }
}

fn within(rng: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(rng.u64(from..to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_are_killed_at_once_are_two() {
        let ttl = Duration::from_secs(3);
        let all: Vec<_> = draw(1, 2000, 3, ttl).into_iter().map(|drawn| drawn.event).collect();
        let mut pairs = 0;
        for event in all {
            if let Event::KillTwo { slots: [one, other], .. } = event {
                assert!(one != other && one < 3 && other < 3);
                pairs += 1;
            }
        }
        assert!((100..400).contains(&pairs), "{pairs}");
    }
}
