use proptest::prelude::*;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// Replicas by id and age in seconds, and leases by key, cost and the id of the owner.
#[derive(Debug, Clone)]
struct Rows {
    replicas: Vec<(String, u64)>,
    leases: Vec<(Vec<u8>, f64, Option<String>)>,
}

impl Rows {
    /// With so many old replicas, and nothing assigned.
    fn free(replicas: usize, costs: &[f64]) -> Self {
        let leases = costs.iter().enumerate().map(|(key, cost)| (key.to_be_bytes().to_vec(), *cost, None));
        Self {
            replicas: (0..replicas).map(|id| (format!("replica-{id}"), 3600)).collect(),
            leases: leases.collect(),
        }
    }

    /// As it is to be.
    fn assigned(&self) -> Self {
        let place = |id: &String| self.replicas.iter().position(|(other, _)| other == id);
        let candidate = |(id, age): &'_ (String, u64)| (id.clone(), Duration::from_secs(*age));
        let candidates: Vec<_> = self.replicas.iter().map(candidate).collect();
        let candidates: Vec<_> = candidates.iter().map(|(id, age)| Candidate { id, age: *age }).collect();
        let lease = |(key, cost, owner): &'_ (Vec<u8>, f64, Option<String>)| {
            (key.clone(), *cost, owner.as_ref().and_then(place))
        };
        let leases: Vec<_> = self.leases.iter().map(lease).collect();
        let leases: Vec<_> =
            leases.iter().map(|(key, cost, owner)| Lease { key, cost: *cost, owner: *owner }).collect();
        let owners = assign(&candidates, &leases, PATIENCE);
        let mut next = self.clone();
        for (lease, owner) in next.leases.iter_mut().zip(owners) {
            lease.2 = Some(self.replicas[owner].0.clone());
        }
        next
    }

    fn without(mut self, replica: usize) -> Self {
        self.replicas.remove(replica);
        self
    }

    fn with(mut self, id: &str, age: u64) -> Self {
        self.replicas.push((id.into(), age));
        self
    }

    fn with_costs(mut self, factors: &[f64]) -> Self {
        for (lease, factor) in self.leases.iter_mut().zip(factors.iter().cycle()) {
            lease.1 *= factor;
        }
        self
    }

    fn owner(&self, lease: usize) -> Option<&str> {
        self.leases[lease].2.as_deref()
    }

    /// The owners of the leases by key.
    fn owners(&self) -> std::collections::BTreeMap<&[u8], Option<&str>> {
        self.leases.iter().map(|(key, _, owner)| (&key[..], owner.as_deref())).collect()
    }

    fn moved_to(&self, next: &Self) -> usize {
        self.leases.iter().zip(&next.leases).filter(|(before, after)| before.2 != after.2).count()
    }

    fn load(&self, id: &str) -> f64 {
        let own = self.leases.iter().filter(|(_, _, owner)| owner.as_deref() == Some(id));
        own.map(|(_, cost, _)| cost).sum()
    }

    fn loads(&self) -> Vec<f64> {
        self.replicas.iter().map(|(id, _)| self.load(id)).collect()
    }

    fn total(&self) -> f64 {
        self.leases.iter().map(|(_, cost, _)| cost).sum()
    }
}

fn part(of: usize, part: usize) -> f64 {
    f64::from(u32::try_from(of).unwrap()) / f64::from(u32::try_from(part).unwrap())
}

/// Any rows at all: leases that cost little and much, held by anybody or nobody, replicas old and young.
fn any_rows() -> impl Strategy<Value = Rows> {
    (1_usize..8).prop_flat_map(|replicas| {
        let ages = prop::collection::vec(prop_oneof![Just(1_u64), Just(3600)], replicas);
        let costs = prop_oneof![Just(0.0), 0.1_f64..1.0, 1.0_f64..10.0, 10.0_f64..200.0];
        let leases = prop::collection::vec((costs, prop::option::of(0..replicas)), 0..60);
        (ages, leases).prop_map(|(ages, leases)| Rows {
            replicas: ages.into_iter().enumerate().map(|(id, age)| (format!("replica-{id}"), age)).collect(),
            leases: leases
                .into_iter()
                .enumerate()
                .map(|(key, (cost, owner))| {
                    (key.to_be_bytes().to_vec(), cost, owner.map(|owner| format!("replica-{owner}")))
                })
                .collect(),
        })
    })
}

/// Many leases of similar cost for each of a few replicas, assigned.
fn many_leases() -> impl Strategy<Value = Rows> {
    (2_usize..8).prop_flat_map(|replicas| {
        prop::collection::vec(0.5_f64..2.0, replicas * 30..replicas * 60)
            .prop_map(move |costs| Rows::free(replicas, &costs).assigned())
    })
}

proptest! {
    #[test]
    fn what_was_assigned_stays_as_it_is(rows in any_rows()) {
        let once = rows.assigned();
        prop_assert_eq!(once.moved_to(&once.assigned()), 0);
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter(rows in any_rows(), by in 0_usize..60) {
        let mut other = rows.clone();
        other.replicas.reverse();
        let middle = by % other.leases.len().max(1);
        other.leases.rotate_left(middle);
        let (next, other_next) = (rows.assigned(), other.assigned());
        prop_assert_eq!(next.owners(), other_next.owners());
    }

    #[test]
    fn no_load_is_above_the_even_one_by_more_than_the_tolerance_and_a_lease(mut rows in any_rows()) {
        rows.replicas.iter_mut().for_each(|(_, age)| *age = 3600);
        rows.leases.retain(|(_, cost, _)| *cost > 0.0);
        let next = rows.assigned();
        let even = next.total() / part(next.replicas.len(), 1);
        let largest = next.leases.iter().map(|(_, cost, _)| *cost).fold(0.0, f64::max);
        for load in next.loads() {
            prop_assert!(load <= even * (1.0 + TOLERANCE) + largest + 1e-6, "{load} of {even}");
        }
    }

    #[test]
    fn a_young_replica_takes_nothing_from_another(rows in any_rows()) {
        let next = rows.assigned();
        let is_young = |id: &str| rows.replicas.iter().any(|(other, age)| other == id && *age == 1);
        for lease in 0..rows.leases.len() {
            let (before, after) = (rows.owner(lease), next.owner(lease).unwrap());
            prop_assert!(before.is_none() || before == Some(after) || !is_young(after));
        }
    }

    #[test]
    fn nobody_is_without_a_lease_if_there_are_enough(mut rows in any_rows()) {
        rows.replicas.iter_mut().for_each(|(_, age)| *age = 3600);
        rows.leases.retain(|(_, cost, _)| *cost > 0.0);
        let next = rows.assigned();
        let holders = next.loads().into_iter().filter(|load| *load > 0.0).count();
        prop_assert!(holders >= next.leases.len().min(next.replicas.len()));
    }

    #[test]
    fn if_one_goes_its_leases_move_and_no_others(rows in many_leases(), gone in 0_usize..8) {
        let gone = gone % rows.replicas.len();
        let id = rows.replicas[gone].0.clone();
        let next = rows.clone().without(gone).assigned();
        for lease in 0..rows.leases.len() {
            prop_assert_eq!(rows.owner(lease) == Some(&id), rows.owner(lease) != next.owner(lease));
        }
        for load in next.loads() {
            prop_assert!(load <= next.total() / part(next.replicas.len(), 1) + 2.0);
        }
    }

    #[test]
    fn if_one_comes_it_gets_its_part_and_nobody_else_gets_anything(rows in many_leases()) {
        let joined = rows.clone().with("another", 3600);
        let next = joined.assigned();
        let even = next.total() / part(next.replicas.len(), 1);
        let load = next.load("another");
        prop_assert!((0.8 * even..=1.01 * even).contains(&load), "{load} of {even}");
        for lease in 0..rows.leases.len() {
            prop_assert!(rows.owner(lease) == next.owner(lease) || next.owner(lease) == Some("another"));
        }
        let moved = part(rows.moved_to(&next), rows.leases.len());
        prop_assert!(moved <= 1.3 / part(next.replicas.len(), 1), "{moved}");
    }

    #[test]
    fn costs_that_are_measured_again_move_nothing(
        rows in many_leases(),
        factors in prop::collection::vec(0.9_f64..1.1, 500),
    ) {
        let measured = rows.with_costs(&factors);
        prop_assert_eq!(measured.moved_to(&measured.assigned()), 0);
    }
}

#[test]
fn without_replicas_nobody_holds_anything() {
    let lease = Lease { key: b"key", cost: 1.0, owner: None };
    assert!(assign(&[], &[lease], PATIENCE).is_empty());
}

#[test]
fn without_leases_nobody_holds_anything() {
    let candidate = Candidate { id: "a", age: PATIENCE };
    assert!(assign(&[candidate], &[], PATIENCE).is_empty());
}

#[test]
fn a_newcomer_waits_for_its_part() {
    let rows = Rows::free(2, &[1.0; 60]).assigned();
    let young = rows.clone().with("another", 29).assigned();
    assert_eq!(rows.moved_to(&young), 0);
    let old = rows.clone().with("another", 30).assigned();
    assert!((17..=20).contains(&rows.moved_to(&old)), "{}", rows.moved_to(&old));
}

#[test]
fn a_newcomer_takes_what_one_left_behind() {
    let rows = Rows::free(3, &[1.0; 60]).assigned();
    let next = rows.clone().without(1).with("another", 1).assigned();
    assert_eq!(next.load("another"), rows.load("replica-1"));
}

#[test]
fn a_lease_that_costs_more_than_all_others_is_held_alone() {
    let costs = [vec![100.0], vec![1.0; 20]].concat();
    let next = Rows::free(3, &costs).assigned();
    let mut loads = next.loads();
    loads.sort_by(f64::total_cmp);
    assert_eq!(loads, [10.0, 10.0, 100.0]);
}

#[test]
fn leases_of_unknown_cost_are_divided_as_if_they_cost_the_same() {
    let rows = Rows::free(3, &[0.0, f64::NAN, -1.0, f64::INFINITY, 0.0, 0.0]).assigned();
    for (id, _) in &rows.replicas {
        assert_eq!(rows.leases.iter().filter(|(_, _, owner)| owner.as_ref() == Some(id)).count(), 2);
    }
}

#[test]
fn an_owner_that_is_no_candidate_is_nobody() {
    let candidate = Candidate { id: "a", age: PATIENCE };
    let lease = Lease { key: b"key", cost: 1.0, owner: Some(7) };
    assert_eq!(assign(&[candidate], &[lease], PATIENCE), [0]);
}
