//! wgrpo trains small language models by group-relative policy optimisation (GRPO and its family).
//!
//! A prompt is answered several times, each answer is scored, and the policy moves towards the
//! answers that did better than the others of their group. All of it is one path of values, each
//! stage making a new type out of the one before:
//!
//! ```text
//! Problem ─▶ prompt ids ─▶ rollouts ─▶ rewards ─▶ advantages ─▶ micro-batches ─▶ loss ─▶ optimiser ─▶ policy
//! data       text          rollout     reward     advantage     train            loss    train        model
//! ```
//!
//! [`train::Trainer::step`] reads like that line, and it alone knows the order.
//!
//! # Shapes
//!
//! A name ends in the shape of what it holds: `rewards_pg` is prompts × rollouts of a group.
//!
//! | letter | counts |
//! |---|---|
//! | `p` | prompts of a step |
//! | `g` | rollouts of a group |
//! | `b` | rows of a micro-batch |
//! | `t` | tokens of a row |
//! | `v` | tokens of the vocabulary |
//! | `h` | attention heads |
//! | `d` | width of a hidden state or a head |
//! | `n`, `m` | packed tokens of all rows, one after another without padding |
//!
//! # Rooms
//!
//! | room | knows |
//! |---|---|
//! | [`text`] | characters and token ids |
//! | [`data`] | problems, from files or generated; no tensor |
//! | [`hub`] | files from the Hugging Face hub and their cache |
//! | [`kernel`] | the operations, each with its forms for CPU and GPU and its gradient |
//! | [`model`] | decoders and their weights; nothing of rewards |
//! | [`rollout`] | sampling completions; nothing of rewards |
//! | [`reward`] | how good a text is; no tensor |
//! | [`advantage`] | rewards of groups in, advantages out; no text, no token |
//! | [`loss`] | log-probabilities and advantages in, one number out; no file, clock or random number |
//! | [`train`] | the order of things, micro-batches, optimiser, checkpoints, evaluation |
//! | [`monitor`] | the events of a run and what listens to them; plain numbers and text |
//! | [`config`] | a run in one YAML file |
//! | [`device`] | names of devices, their adapters and limits; a session on one |
//! | [`run`] | a run as a library: begin, resume, step, evaluate, save, finish |
//! | [`report`] | what runs have left behind, as a page and as a list; opens no model |
//! | [`cli`] | the commands |
//!
//! [`files`] writes files whole or not at all, [`random`] is the one source of random numbers, and
//! [`readback`] reads numbers off a device, or tells why they are not to be believed.
//!
//! Everything that computes is generic over Burn's [`Backend`](burn::tensor::backend::Backend) with
//! the operations of [`kernel::Kernels`], and [`device::run_on`] picks the backend once, by name.

pub mod advantage;
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod files;
pub mod hub;
pub mod kernel;
pub mod loss;
pub mod model;
pub mod monitor;
mod pattern;
mod quote;
pub mod random;
pub mod readback;
pub mod report;
pub mod reward;
pub mod rollout;
pub mod run;
pub mod text;
pub mod train;
