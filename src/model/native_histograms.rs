//! Whether histograms are published as native ones.

use strum::{EnumString, IntoStaticStr, VariantNames};

/// Whether histograms are published as native ones, where the format has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum NativeHistograms {
    /// As classic ones alone.
    #[default]
    Off,
    /// As native and as classic ones.
    On,
    /// As native ones; what is left of the classic ones is count and sum.
    Only,
}
