"""The Add page: files are taken, looked at by workers, asked about, tried and put into the pickers."""
