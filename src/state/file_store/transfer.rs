//! All accounts of a state file at once: out of it, and into it.

use super::{FileStore, guarded, rows};
use crate::state::{Error, Export, error::Cause};

impl FileStore {
    /// All accounts.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn export(&self) -> Result<Vec<Export>, Error> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        guarded(&self.path, || rows::export(database).map_err(|cause: Cause| cause.at(&self.path, "read")))
    }

    /// Adds accounts, all or none, in place of those of the same names.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn import(&mut self, accounts: &[Export]) -> Result<(), Error> {
        let Some(database) = &self.database else { return Err(Error::Replaced(self.path.clone())) };
        guarded(&self.path, || {
            let import = || rows::import(database, self.generation + 1, accounts);
            import().map_err(|cause: Cause| cause.at(&self.path, "write"))
        })?;
        self.generation += 1;
        Ok(())
    }
}
