//! Leases: the right to ask Kapso with an API key, and to publish and save the projects of that key, where several
//! replicas share a state. No I/O.
//!
//! A lease is granted by the database until a moment of the database's clock. Whoever holds it trusts it for less: from
//! the moment before it was asked for, by a clock of its own that goes on while the process or the machine sleeps
//! ([`BootTime`]), and without a [margin](Terms::margin) for clocks that go at different rates. So it stops before
//! another replica may begin. Each time that a lease is granted anew its epoch grows: what is written carries it.
//!
//! Within a lease so many requests may be made as the database was told beforehand ([`Lease::reserve`]): they are all that
//! another replica has to count as made if the holder crashes.

mod boot_time;
mod held;
mod reservation;
mod terms;

pub use self::{
    boot_time::BootTime,
    held::{Epoch, Inherited, KeyHash, Lease, Leases},
    terms::Terms,
};
