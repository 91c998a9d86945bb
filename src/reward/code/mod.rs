//! The text is a program that passes tests.

mod cases;
#[cfg(unix)]
mod child;
mod program;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{Completion, Reward, RewardError, one};
use crate::data::Problem;
use cases::{Cases, cases};
use program::program;

/// 1 if the Python program in the text passes all tests of its problem, else 0; with `partial` the
/// share of tests that it passes.
///
/// The program is the last fenced block of Python in the text, or the whole text where it has no
/// fence. A test is an assertion, or an input with the output that is expected.
///
/// **It runs what a model wrote, on this machine and with your rights**, so it is off until
/// `allow_execution: true`. Each program is a `python3` of its own with limits on time, memory, and
/// the size of files and output; in an empty folder that is removed; without your environment; and
/// what is left of its process group is killed. It is no sandbox: a program can read what you can,
/// use the network, and leave its process group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// Whether programs may run at all.
    #[serde(default)]
    pub allow_execution: bool,
    /// The column with the tests: a list of assertions, or of objects with `input` and `output`, or one
    /// object with the lists `inputs` and `outputs`.
    #[serde(default = "tests_column")]
    pub tests: String,
    /// Gives the share of tests that pass, in place of all or nothing.
    #[serde(default)]
    pub partial: bool,
    /// How long all tests of one program may take, in seconds.
    #[serde(default = "ten")]
    pub timeout_secs: f64,
    /// How much memory a program may take, in MiB.
    #[serde(default = "memory")]
    pub memory_mib: u64,
    /// How much a program may write into one file or to its output, in KiB.
    #[serde(default = "output")]
    pub output_kib: u64,
}

/// What one program may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    time: std::time::Duration,
    memory_bytes: u64,
    output_bytes: u64,
}

impl CodeReward {
    pub(super) fn checked(&self) -> Result<Self, RewardError> {
        let refuse = |key, problem: String| Err(RewardError::setting("code", key, problem));
        if !self.allow_execution {
            let problem = "is false, and this reward runs programs that the model writes, on this \
                           machine and with your rights; set it to true if that is what you want";
            return refuse("allow_execution", problem.into());
        }
        if self.tests.is_empty() {
            return refuse("tests", "is empty; name a column".into());
        }
        for (key, value, low, high) in [
            ("timeout_secs", self.timeout_secs, 0.1, 3600.0),
            ("memory_mib", self.memory_mib as f64, 64.0, 1_048_576.0),
            ("output_kib", self.output_kib as f64, 1.0, 1_048_576.0),
        ] {
            if !(low..=high).contains(&value) {
                let problem = format!("is {value}; it must be at least {low} and at most {high}");
                return refuse(key, problem);
            }
        }
        self.can_run()
            .map_err(|problem| RewardError::setting("code", "allow_execution", problem))?;
        Ok(self.clone())
    }

    fn limits(&self) -> Limits {
        Limits {
            time: std::time::Duration::from_secs_f64(self.timeout_secs),
            memory_bytes: self.memory_mib << 20,
            output_bytes: self.output_kib << 10,
        }
    }

    fn cases(&self, problem: &Problem) -> Option<Cases> {
        cases(problem.columns.get(&self.tests)?)
    }

    /// How many tests a program passes.
    #[cfg(unix)]
    fn passed(&self, program: &str, cases: &Cases) -> usize {
        child::passed(program, cases, self.limits())
    }

    #[cfg(not(unix))]
    fn passed(&self, _program: &str, _cases: &Cases) -> usize {
        let _ = self.limits();
        0
    }

    /// Whether programs can be run here, found by running one.
    #[cfg(unix)]
    fn can_run(&self) -> Result<(), String> {
        let limits = Limits { time: std::time::Duration::from_secs(60), ..self.limits() };
        match child::passed("a = 1", &Cases::Asserts(vec!["assert a == 1".into()]), limits) {
            1 => Ok(()),
            _ => {
                Err("is true, and python3 cannot run here with these limits; put a python3 on the \
                      PATH, or raise code.memory_mib"
                    .into())
            }
        }
    }

    #[cfg(not(unix))]
    fn can_run(&self) -> Result<(), String> {
        Err("is true, and programs can be held to limits on Unix alone; leave this reward out"
            .into())
    }
}

impl Reward for CodeReward {
    fn name(&self) -> &'static str {
        "code"
    }

    fn score(&self, problem: &Problem, completion: &Completion) -> Option<f64> {
        let cases = self.cases(problem)?;
        let passed = program(completion.text).map_or(0, |program| self.passed(program, &cases));
        Some(match self.partial {
            true => passed as f64 / cases.len() as f64,
            false => f64::from(passed == cases.len()),
        })
    }

    fn obstacle(&self, problem: &Problem) -> Option<&'static str> {
        let missing = "have no tests in the column that code.tests names";
        self.cases(problem).is_none().then_some(missing)
    }

    fn full_score(&self) -> Option<f64> {
        Some(1.0)
    }

    fn extracted(&self, _problem: &Problem, text: &str) -> Option<String> {
        program(text).map(str::to_owned)
    }
}

fn tests_column() -> String {
    "tests".to_owned()
}

fn ten() -> f64 {
    10.0
}

fn memory() -> u64 {
    512
}

fn output() -> u64 {
    1024
}
