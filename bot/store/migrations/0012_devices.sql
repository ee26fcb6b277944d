-- Speeds are measured for each kind of device; those from before are of one that is not known.

ALTER TABLE speeds RENAME TO speeds_before;

CREATE TABLE speeds (
    models TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    cutouts INTEGER NOT NULL,
    device TEXT NOT NULL,
    step_s REAL NOT NULL,
    PRIMARY KEY (models, width, height, cutouts, device)
) STRICT, WITHOUT ROWID;

INSERT INTO speeds SELECT models, width, height, cutouts, '', step_s FROM speeds_before;

DROP TABLE speeds_before;
