"""The numbers: arrays in, arrays out; nothing here knows specs, disks or pages."""
