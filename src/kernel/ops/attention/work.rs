//! How much work a task of attention is.

use super::AttentionPlan;
use super::blocks::Block;

impl Block<'_> {
    /// About how many products its scores in the heads of one key head take.
    pub fn work(&self, plan: &AttentionPlan) -> usize {
        let rows = self.queries.len() * plan.heads / plan.kv_heads;
        rows * self.most_keys() * plan.head_dim
    }
}
