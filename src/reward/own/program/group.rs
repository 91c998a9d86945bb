//! A process with all that it starts, which ends as one: when it is asked to, and when this program ends
//! in whatever way.

use std::io;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

/// A process, and what ends those that it starts.
pub(super) struct Group {
    child: Child,
    hold: system::Hold,
    is_over: bool,
}

/// What goes in and out of a process.
pub(super) struct Pipes {
    pub stdin: ChildStdin,
    pub stdout: ChildStdout,
    pub stderr: ChildStderr,
}

impl Group {
    /// Starts a program with its arguments.
    pub(super) fn start(line: &[String]) -> io::Result<(Self, Pipes)> {
        let [program, arguments @ ..] = line else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut command = Command::new(program);
        command.args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        system::prepare(&mut command);
        let mut child = command.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let hold = system::Hold::on(&child);
        let group = Self { child, hold, is_over: false };
        match pipes {
            (Some(stdin), Some(stdout), Some(stderr)) => {
                Ok((group, Pipes { stdin, stdout, stderr }))
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// How the process ended, if it has; what it started may go on.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Ends the process and all that it has started.
    pub(super) fn end(&mut self) {
        // Once all are gone the number of the group may be somebody else's.
        if !std::mem::replace(&mut self.is_over, true) {
            self.hold.end_all(&mut self.child);
            let _ = self.child.wait();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    use nix::sys::signal::{SigSet, Signal, killpg};
    use nix::unistd::Pid;

    /// Waits until the pipe to its standard input closes, which the end of this program does whatever ends
    /// it, and then ends the group (`-KILL --` is not for every shell). A program of its own: a thread or a fork would end or hold memory with us.
    const WATCH: &str = "read -r _; kill -s KILL -- \"-$1\"";

    /// A process group, with a watcher that outlives this program for a moment.
    pub(super) struct Hold {
        group: Pid,
        watcher: Option<Child>,
    }

    #[allow(
        unsafe_code,
        reason = "the standard library inherits blocked signals and cannot do else"
    )]
    pub(super) fn prepare(command: &mut Command) {
        command.process_group(0);
        // SAFETY: between fork and exec only this one system call is made.
        unsafe { command.pre_exec(unblock) };
    }

    /// This program blocks signals to wait for them; whoever starts `timeout` needs them.
    fn unblock() -> io::Result<()> {
        Ok(SigSet::empty().thread_set_mask()?)
    }

    impl Hold {
        pub(super) fn on(child: &Child) -> Self {
            let mut watcher = Command::new("/bin/sh");
            watcher.args(["-c", WATCH, "wgrpo-watch", &child.id().to_string()]);
            watcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            watcher.process_group(0);
            let group = Pid::from_raw(child.id().try_into().unwrap_or(i32::MAX));
            // Where there is no shell, a program still sees the end of its standard input.
            Self { group, watcher: watcher.spawn().ok() }
        }

        pub(super) fn end_all(&mut self, _: &mut Child) {
            let _ = killpg(self.group, Signal::SIGKILL);
            if let Some(mut watcher) = self.watcher.take() {
                let _ = watcher.kill();
                let _ = watcher.wait();
            }
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::os::windows::io::AsRawHandle;
    use std::process::{Child, Command};

    use win32job::{ExtendedLimitInfo, Job};

    /// A job: the system ends all processes in it when its handle is closed, as it is when this program ends.
    pub(super) struct Hold(Option<Job>);

    pub(super) fn prepare(_: &mut Command) {}

    impl Hold {
        pub(super) fn on(child: &Child) -> Self {
            let mut limits = ExtendedLimitInfo::new();
            limits.limit_kill_on_job_close();
            let job = Job::create_with_limit_info(&limits).ok();
            Self(job.filter(|job| job.assign_process(child.as_raw_handle() as isize).is_ok()))
        }

        pub(super) fn end_all(&mut self, child: &mut Child) {
            self.0 = None;
            let _ = child.kill();
        }
    }
}
