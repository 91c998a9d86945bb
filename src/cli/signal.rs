//! `wgrpo signal`: what groups of a given size make of a known reward distribution, by exact enumeration.

use clap::Args;
use serde::Serialize;
use serde::de::value::Error as ValueError;
use serde::de::{DeserializeOwned, IntoDeserializer};

use super::output::{print, print_json};
use crate::advantage::{Oracle, RewardDistribution, SignalRow, signal_table};
use crate::kernel::group_rule::EvenMedian;

/// Arguments of `wgrpo signal`.
#[derive(Debug, Args)]
pub(super) struct SignalArgs {
    /// The values a reward can take, as in `0,1.5,2`
    #[arg(long, value_delimiter = ',', required = true, allow_hyphen_values = true)]
    rewards: Vec<f64>,
    /// The probability of each, as in `.4,.2,.4`
    #[arg(long, value_delimiter = ',', required = true)]
    probs: Vec<f64>,
    /// Group sizes (rollouts of a prompt that reach the loss), as in `2,4,8`
    #[arg(long, value_delimiter = ',', required = true)]
    group: Vec<usize>,
    /// The true baseline that signs are judged by: mean or median of the distribution
    #[arg(long, default_value = "mean", value_parser = named::<Oracle>)]
    oracle: Oracle,
    /// The median of an even number of rollouts: lower or mean_of_two
    #[arg(long, default_value = "lower", value_parser = named::<EvenMedian>)]
    even_median: EvenMedian,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Signal {
    oracle: Oracle,
    oracle_baseline: f64,
    rows: Vec<SignalRow>,
}

impl SignalArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let distribution = RewardDistribution::new(self.rewards, self.probs)?;
        let signal = Signal {
            oracle: self.oracle,
            oracle_baseline: distribution.oracle(self.oracle),
            rows: signal_table(&distribution, &self.group, self.oracle, self.even_median)?,
        };
        match self.json {
            true => print_json(&signal),
            false => print(&signal.table()),
        }
    }
}

impl Signal {
    fn table(&self) -> String {
        let oracle = match self.oracle {
            Oracle::Mean => "mean",
            Oracle::Median => "median",
        };
        let head = format!(
            "signs are judged by the distribution's {oracle}, {:.4}; shares of the rollouts that reach the \
             loss\n\n{:<18}{:>6}{:>10}{:>10}{:>10}{:>14}\n",
            self.oracle_baseline, "baseline", "group", "rollouts", "flip", "zero", "no signal"
        );
        let row = |row: &SignalRow| {
            format!(
                "{:<18}{:>6}{:>10}{:>10.3}{:>10.3}{:>14.3}\n",
                row.baseline,
                row.group,
                row.rollouts,
                row.flip_share,
                row.zero_rate,
                row.no_signal_rate
            )
        };
        head + &self.rows.iter().map(row).collect::<String>()
    }
}

/// A value by the name that a configuration gives it.
fn named<T: DeserializeOwned>(name: &str) -> Result<T, ValueError> {
    T::deserialize(name.into_deserializer())
}
