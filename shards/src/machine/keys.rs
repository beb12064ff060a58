//! Every key kind and its byte layout. Once assigned they never change.
