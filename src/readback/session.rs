//! The use of a device from its opening to its first failure or its end.

use std::any::TypeId;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use burn::tensor::backend::Backend;

use super::{DeviceFailed, panics};

/// Sessions that have not ended. Panics and wgpu's callbacks belong to the whole process and do not
/// say whose they are, so each of them is a failure of every session here.
static LIVE: Mutex<Vec<Weak<Cell>>> = Mutex::new(Vec::new());

/// One use of a device that works on threads of its own. Its first failure is remembered until it
/// ends, and the next session on the same device starts without it.
///
/// A device that was lost for good fails the next session too, at its first readback. The CPU needs
/// no session.
#[derive(Debug)]
pub struct Session {
    cell: Arc<Cell>,
}

#[derive(Debug)]
struct Cell {
    /// The type of the backend's devices.
    device: TypeId,
    first: OnceLock<DeviceFailed>,
}

impl Session {
    /// A session on a device that is still to be opened.
    pub fn new<B: Backend>() -> Self {
        Self::of(TypeId::of::<B::Device>())
    }

    /// A session on `device`. What an earlier one left in its queue is waited for and forgotten.
    pub fn begin<B: Backend>(device: &B::Device) -> Self {
        let earlier = Self::new::<B>();
        // Whatever it says is not said to this session.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| B::sync(device)));
        drop(earlier);
        Self::new::<B>()
    }

    fn of(device: TypeId) -> Self {
        panics::watch();
        let cell = Arc::new(Cell { device, first: OnceLock::new() });
        live().push(Arc::downgrade(&cell));
        Self { cell }
    }

    /// Whether the device has failed in this session.
    ///
    /// # Errors
    /// The first failure.
    pub fn check(&self) -> Result<(), DeviceFailed> {
        self.cell.check()
    }

    /// Runs what uses the device. A failure ends it, whatever it made of it.
    ///
    /// # Errors
    /// The first failure of the session.
    pub fn run<T>(&self, run: impl FnOnce() -> T) -> Result<T, DeviceFailed> {
        // Nothing that was under way is looked at again.
        match (panic::catch_unwind(AssertUnwindSafe(run)), self.check()) {
            (_, Err(failed)) => Err(failed),
            (Ok(output), Ok(())) => Ok(output),
            (Err(panic), Ok(())) => panic::resume_unwind(panic),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        live().retain(|cell| !std::ptr::eq(cell.as_ptr(), Arc::as_ptr(&self.cell)));
    }
}

impl Cell {
    fn check(&self) -> Result<(), DeviceFailed> {
        self.first.get().map_or(Ok(()), |failed| Err(failed.clone()))
    }

    fn record(&self, said: &str) {
        // What follows from the first failure explains nothing.
        let _ = self.first.set(DeviceFailed::new(said));
    }
}

/// Remembers a failure that a driver told of, in every live session; whether there is one.
pub fn record(said: &str) -> bool {
    record_where(said, |_| true)
}

/// Remembers a failure in the sessions on devices of this backend.
pub(super) fn record_for<B: Backend>(said: &str) {
    let device = TypeId::of::<B::Device>();
    record_where(said, |cell| cell.device == device);
}

/// Whether a device of this backend has failed in a session that has not ended.
pub(super) fn check<B: Backend>() -> Result<(), DeviceFailed> {
    check_device(TypeId::of::<B::Device>())
}

fn check_device(device: TypeId) -> Result<(), DeviceFailed> {
    cells().into_iter().filter(|cell| cell.device == device).try_for_each(|cell| cell.check())
}

fn record_where(said: &str, belongs: impl Fn(&Cell) -> bool) -> bool {
    let cells: Vec<_> = cells().into_iter().filter(|cell| belongs(cell)).collect();
    cells.iter().for_each(|cell| cell.record(said));
    !cells.is_empty()
}

fn cells() -> Vec<Arc<Cell>> {
    live().iter().filter_map(Weak::upgrade).collect()
}

fn live() -> MutexGuard<'static, Vec<Weak<Cell>>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Devices that no backend has, so that no other test's readback meets these failures.
    struct One;
    struct Other;

    fn said(failed: Result<(), DeviceFailed>) -> String {
        failed.map_or_else(|failed| failed.said, |()| String::new())
    }

    #[test]
    fn a_failure_ends_its_session_and_not_the_next_one() {
        let of_one = |cell: &Cell| cell.device == TypeId::of::<One>();
        let first = Session::of(TypeId::of::<One>());
        let other = Session::of(TypeId::of::<Other>());
        assert!(record_where("out of memory", of_one));
        assert!(record_where("and then this", of_one));
        assert_eq!(said(first.check()), "out of memory");
        assert_eq!(said(check_device(TypeId::of::<One>())), "out of memory");
        assert_eq!(said(first.run(|| ())), "out of memory");
        assert_eq!(
            (said(other.check()), said(check_device(TypeId::of::<Other>()))),
            Default::default()
        );
        drop(first);
        let second = Session::of(TypeId::of::<One>());
        assert_eq!((second.check(), check_device(TypeId::of::<One>())), (Ok(()), Ok(())));
        assert_eq!(second.run(|| 3), Ok(3));
    }

    #[test]
    fn a_session_that_failed_gives_its_failure_for_what_it_made_of_it() {
        struct Mine;
        let session = Session::of(TypeId::of::<Mine>());
        let outcome = session.run(|| -> u32 {
            record_where("lost", |cell| cell.device == TypeId::of::<Mine>());
            panic::resume_unwind(Box::new("what followed from it"))
        });
        assert_eq!(outcome, Err(DeviceFailed { said: "lost".into() }));
    }

    #[test]
    fn a_panic_of_ours_is_not_taken_for_one_of_the_device() {
        struct Mine;
        let session = Session::of(TypeId::of::<Mine>());
        let ours =
            panic::catch_unwind(AssertUnwindSafe(|| session.run(|| panic!("a bug of ours"))));
        assert!(ours.is_err());
        assert_eq!(session.check(), Ok(()));
    }
}
