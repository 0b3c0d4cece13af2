/**
 * Files and folders that only one user may read or change, the secrets that operators give by reference, and files that nobody else may write.
 *
 * It promises that what it opens belongs to this process's user and is closed to all others (0600 in 0700), that a file is looked at through
 * the descriptor it is read by, and that a file is put in place whole, on disk, or not at all. It must not know what the files hold.
 */
export { readOrCreatePrivateFile } from './create-once.ts';
export { errorTable, PrivateFileError } from './errors.ts';
export { readPrivateFile, removePrivateFile, removeUnfinished, syncFolder, writePrivateFile } from './files.ts';
export { checkFolderPath, makeFolders, openPrivateFolder, openSharedFolder, openSocketFolder } from './folders.ts';
export { readTrustedFile } from './given-file.ts';
export { readGivenSecret, readGivenSecretNow } from './given-secret.ts';
