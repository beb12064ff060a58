//! Namespaces.

use futures_util::stream::{Stream, try_unfold};
use z4_proto::{
    DeleteNamespaceRequest, GetNamespaceRequest, ListNamespacesRequest, Namespace, NamespaceSettings, PurgeNamespaceRequest,
    UpdateNamespaceRequest,
};

use super::call::Call;
use super::error::Error;
use super::{Client, slot};

impl Client {
    /// A namespace: its settings and how many tasks it has.
    pub async fn namespace(&self, name: &str) -> Result<Namespace, Error> {
        let request = GetNamespaceRequest { namespace: name.to_owned() };
        let send = |channel| {
            let request = request.clone();
            async move { self.collection(channel).get_namespace(request).await }
        };
        Ok(self.call(Call::read("GetNamespace", slot(name)), send).await?.0)
    }

    /// Changes settings of a namespace; what is unset stays as it is.
    pub async fn set_namespace(&self, name: &str, settings: NamespaceSettings) -> Result<Namespace, Error> {
        let request = UpdateNamespaceRequest { namespace: name.to_owned(), settings: Some(settings) };
        let send = |channel| {
            let request = request.clone();
            async move { self.collection(channel).update_namespace(request).await }
        };
        Ok(self.call(Call::safe("UpdateNamespace", slot(name)), send).await?.0)
    }

    /// Every namespace in the order of their names, page by page of up to `page_size` (1 to 1,000; 0: 100).
    pub fn namespaces(&self, page_size: u32) -> impl Stream<Item = Result<Vec<Namespace>, Error>> + Send + use<> {
        let first = ListNamespacesRequest { page_size, page_token: String::new() };
        try_unfold((self.clone(), Some(first)), |(client, request)| async move {
            let Some(request) = request else { return Ok(None) };
            let send = |channel| {
                let request = request.clone();
                let client = &client;
                async move { client.collection(channel).list_namespaces(request).await }
            };
            let (page, _) = client.call(Call::read("ListNamespaces", None), send).await?;
            let more = !page.next_page_token.is_empty();
            let next = more.then_some(ListNamespacesRequest { page_size: request.page_size, page_token: page.next_page_token });
            Ok(Some((page.namespaces, (client, next))))
        })
    }

    /// Removes every task of a namespace and says how many there were. Not sent again unless it is sure that it was not done: tasks that
    /// came in between would go, too.
    pub async fn purge(&self, name: &str) -> Result<u64, Error> {
        let request = PurgeNamespaceRequest { namespace: name.to_owned() };
        let send = |channel| {
            let request = request.clone();
            async move { self.collection(channel).purge_namespace(request).await }
        };
        Ok(self.call(Call::once("PurgeNamespace", slot(name)), send).await?.0.removed)
    }

    /// Removes a namespace with its settings, which must have no task. `false`: there was none. Not sent again unless it is sure that it was
    /// not done: somebody may have made it anew.
    pub async fn delete_namespace(&self, name: &str) -> Result<bool, Error> {
        let request = DeleteNamespaceRequest { namespace: name.to_owned() };
        let send = |channel| {
            let request = request.clone();
            async move { self.collection(channel).delete_namespace(request).await }
        };
        Ok(self.call(Call::once("DeleteNamespace", slot(name)), send).await?.0.existed)
    }
}
