//! What goes on while an answer waits for its client's window: nothing more is asked of the handler then.

use std::cell::OnceCell;
use std::rc::Rc;
use std::task::Context as Poller;

use send_wrapper::SendWrapper;
use tonic::Request;

/// Something that is done meanwhile.
pub(super) trait GoesOn {
    /// Does what can be done now.
    fn go_on(&self, cx: &mut Poller<'_>);
}

/// What a handler has to do meanwhile, as its call knows it.
#[derive(Clone)]
pub(super) struct Meanwhile(SendWrapper<Rc<OnceCell<Rc<dyn GoesOn>>>>);

impl Meanwhile {
    /// Nothing, until it is set.
    pub(super) fn new() -> Self {
        Meanwhile(SendWrapper::new(Rc::default()))
    }

    /// The one of a request's call.
    pub(super) fn of<T>(request: &Request<T>) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Has this done. One thing for each call.
    pub(super) fn set(&self, what: Rc<dyn GoesOn>) {
        self.0.get_or_init(|| what);
    }

    pub(super) fn go_on(&self, cx: &mut Poller<'_>) {
        if let Some(what) = self.0.get() {
            what.go_on(cx);
        }
    }
}
