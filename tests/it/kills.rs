//! Runs that are killed at any moment, again and again, and are in the end the run that never was.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use wgrpo::random::Stream;

use crate::command_line::assert_same_run;
use crate::program::Scene;
use crate::support::said;

/// How many runs are killed where `WGRPO_KILLS` does not say.
const KILLS: usize = 3;

/// Which of the seed's numbers the moments are.
const MOMENTS: u32 = 0x6b11;

/// A run of a second or two with all that a run writes: a warm start, a reference, evaluations and
/// checkpoints on the way, groups that wait for the next step.
fn scene() -> Scene {
    scene_of(str::to_owned)
}

/// The same with a change to its configuration.
fn scene_of(change: impl Fn(&str) -> String) -> Scene {
    Scene::changed(|config| {
        change(config)
            .replace("max_steps: 3", "max_steps: 40")
            .replace("save_steps: 1", "save_steps: 3")
            + "warm_start: {max_steps: 4, check_every: 2, batch_size: 8}\n\
               use_kl_loss: true\n\
               dynamic_sampling: {max_rounds: 3, on_exhausted: proceed}\n\
               eval: {every_steps: 4}\n\
               tracking: {samples_every: 2}\n"
    })
}

/// Begins a run and kills it after a while; false where it had ended before, as it must: well.
fn killed(scene: &Scene, arguments: &[&str], after: Duration) -> bool {
    let mut command = scene.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    // One that has ended meanwhile cannot be killed.
    let _ = child.kill();
    let status = child.wait().unwrap();
    assert!(matches!(status.code(), None | Some(0)), "{arguments:?}: {status}");
    status.code().is_none()
}

/// Whether there is something to go on from; before its first checkpoint a run can only be begun anew.
fn has_checkpoint(scene: &Scene) -> bool {
    let Ok(mut folders) = scene.path("run/checkpoints").read_dir() else { return false };
    folders.any(|folder| folder.unwrap().path().join("manifest.json").exists())
}

#[test]
fn a_run_that_is_killed_at_any_moment_and_resumed_is_bit_for_bit_the_same() {
    assert_survives(&scene());
}

#[test]
fn a_run_with_moments_of_8_bits_that_is_killed_and_resumed_is_bit_for_bit_the_same() {
    // Wide enough for matrices whose moments are codes.
    let wide = "hidden_size: 64, intermediate_size: 70";
    assert_survives(&scene_of(|config| {
        config.replace("hidden_size: 16, intermediate_size: 24", wide)
            + "optimizer: {moments: q8}\n"
    }));
}

/// Kills runs of a scene and compares what they are in the end.
fn assert_survives(scene: &Scene) {
    let asked = std::env::var("WGRPO_KILLS").ok().map(|count| count.parse().unwrap());
    let kills = asked.unwrap_or(KILLS);
    let began = Instant::now();
    scene.train("whole", &[]);
    let whole = began.elapsed();
    let mut moments = Stream::new(1, MOMENTS);
    let (mut done, mut anew, mut runs) = (0, 0, 0);
    while done < kills {
        let _ = fs::remove_dir_all(scene.path("run"));
        runs += 1;
        let mut arguments = vec!["train", "tiny.yaml", "--output-dir", "run", "--overwrite"];
        loop {
            if done == kills {
                scene.succeed(&arguments);
                break;
            }
            if !killed(scene, &arguments, whole.mul_f64(f64::from(moments.uniform()))) {
                break;
            }
            done += 1;
            let resumes = has_checkpoint(scene);
            anew += usize::from(!resumes);
            arguments[4] = if resumes { "--resume" } else { "--overwrite" };
        }
        assert_same_run(scene, "whole", "run");
    }
    said(&format!(
        "{done} kills of {runs} runs of {:.1} s, {anew} before a first checkpoint: all ended as the run that was never \
         killed",
        whole.as_secs_f64()
    ));
}
