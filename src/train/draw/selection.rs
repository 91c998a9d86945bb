//! Which groups count towards a step, and how long it draws prompts for them.

use super::filters::{DynamicSampling, QueryFilter};
use super::window::DrawWindow;
use crate::advantage::{AlphaMode, GpgAlpha};

/// Where every group of the step is trained on there is nothing to make up for.
const NO_ALPHA: GpgAlpha = GpgAlpha { alpha_mode: AlphaMode::Off, beta_th: 0.0 };

/// The groups of a step: which ones count, and how many rounds of prompts it takes to find them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// When a group counts.
    pub validity: Validity,
    /// How long to draw, and which groups to take.
    pub window: DrawWindow,
    /// How the loss makes up for groups that only fill the step.
    pub alpha: GpgAlpha,
}

/// When a group counts towards a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Validity {
    /// Always.
    Any,
    /// When some advantage that reaches the loss is not zero; groups without one stay in the loss's
    /// divisor, as far as alpha does not make up for them.
    Signal,
    /// When the filter lets it pass.
    Passes(QueryFilter),
}

impl Default for Selection {
    fn default() -> Self {
        Self { validity: Validity::Any, window: DrawWindow::default(), alpha: NO_ALPHA }
    }
}

impl Selection {
    /// Groups with a signal, the others made up for by alpha.
    pub fn gpg(window: DrawWindow, alpha: GpgAlpha) -> Self {
        Self { validity: Validity::Signal, window, alpha }
    }

    /// A filter, with or without drawing again.
    pub fn filtered(filter: QueryFilter, dynamic: Option<DynamicSampling>) -> Self {
        let window = match dynamic {
            Some(DynamicSampling { max_rounds, on_exhausted }) => {
                DrawWindow { least_share: 1.0, max_rounds, on_exhausted, ..DrawWindow::default() }
            }
            None => DrawWindow::default(),
        };
        Self { validity: Validity::Passes(filter), window, alpha: NO_ALPHA }
    }

    /// Whether groups that do not count still enlarge the loss's divisor.
    pub fn fills(&self) -> bool {
        self.validity == Validity::Signal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dynamic_sampling_asks_for_a_whole_step_of_groups() {
        let filter = QueryFilter::StdFilter { std_threshold: 0.0 };
        let once = Selection::filtered(filter, None);
        let again = Selection::filtered(filter, Some(DynamicSampling::default()));
        use crate::train::draw::window::WindowDecision::{DrawMore, Train};
        assert_eq!(once.window.decide(1, 4, 1), Train);
        assert_eq!(again.window.decide(3, 4, 1), DrawMore);
        assert_eq!(again.window.decide(4, 4, 1), Train);
    }
}
