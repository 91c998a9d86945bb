//! The operations, one file each: formula, shapes, CPU body, gradient, and the function by which the rest
//! of the program calls it. The GPU form is in the file of the same name in `kernel/cube`.

pub(super) mod adamw;
pub(super) mod adamw_q8;
pub(super) mod add_linear;
pub(super) mod add_norm;
pub(super) mod attention;
pub(super) mod decode_attention;
pub(super) mod dropout;
pub(super) mod gated_linear;
pub(super) mod gather_drawn;
pub(super) mod gather_rows;
pub mod group_advantage;
pub mod group_baseline;
pub(super) mod linear;
pub(super) mod linears;
pub(super) mod logit_logprob;
pub(super) mod rms_norm;
pub(super) mod rope;
pub(super) mod rotate_into_cache;
pub(super) mod sample;
pub(super) mod sum_of_squares;
pub(super) mod swiglu;
pub(super) mod token_logprob;
pub(super) mod token_weights;
pub(super) mod weight;
pub mod whiten;
pub(super) mod write_rows;

pub use adamw::{AdamW, adamw_step};
pub use adamw_q8::adamw_step_q8;
pub use add_linear::add_linear;
pub use add_norm::add_norm;
pub use attention::{AttentionPlan, Span, attention};
pub use decode_attention::{DecodePlan, PAGE, Paged, decode_attention};
pub use dropout::{Dropout, dropout};
pub use gated_linear::gated_linear;
pub use gather_drawn::gather_drawn;
pub use gather_rows::gather_rows;
pub use group_advantage::group_advantage;
pub use group_baseline::group_baseline;
pub use linear::linear;
pub use linears::linears;
pub use logit_logprob::logit_logprob;
pub use rms_norm::rms_norm;
pub use rope::{Rotary, rope, rope_frequencies};
pub use rotate_into_cache::{Cached, rotate_into_cache};
pub use sample::{Sampling, sample};
pub use sum_of_squares::sum_of_squares;
pub use swiglu::swiglu;
pub use token_logprob::token_logprob;
pub use token_weights::{TokenWeighting, token_weights};
pub use weight::{PackedWeight, Weight};
pub use whiten::whiten;
pub use write_rows::write_rows;

use super::check::Visitor;

/// Shows every operation to `visitor`: the one list, from which `wgrpo devices --check` and the tests of
/// the kernels on a GPU are made.
pub fn every_operation(visitor: &mut impl Visitor) {
    linear::visit(visitor);
    linears::visit(visitor);
    add_linear::visit(visitor);
    dropout::visit(visitor);
    gated_linear::visit(visitor);
    rms_norm::visit(visitor);
    add_norm::visit(visitor);
    swiglu::visit(visitor);
    rope::visit(visitor);
    rotate_into_cache::visit(visitor);
    attention::visit(visitor);
    decode_attention::visit(visitor);
    gather_rows::visit(visitor);
    gather_drawn::visit(visitor);
    write_rows::visit(visitor);
    token_logprob::visit(visitor);
    logit_logprob::visit(visitor);
    sample::visit(visitor);
    group_baseline::visit(visitor);
    group_advantage::visit(visitor);
    whiten::visit(visitor);
    token_weights::visit(visitor);
    sum_of_squares::visit(visitor);
    adamw::visit(visitor);
    adamw_q8::visit(visitor);
}
