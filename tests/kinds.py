"""The silent kinds of fault: for each, two ways to cause it that no list had, and their test.

`tests/test_answers.py` puts the table into docs/reliability.md and looks whether the tests exist.
"""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
KINDS = [  # kind, one way, another, the test that causes them
    ("foreign files counted as translations", "a note without a suffix of pictures",
     "a picture two folders deep", "test_truth_of_images.py::test_a_folder_that_is_not_this_runs"),
    ("changed inputs, old translations", "a JPEG under a translation's name",
     "half of its file", "test_truth_of_images.py::test_what_was_not_made_from_these"),
    ("counts that restart", "a run cut between two images", "the same command three times",
     "test_truth_of_images.py::test_seconds_and_evaluations_survive"),
    ("one program's files under another's", "evaluate.py into a training's folder",
     "train.py into a translation's",
     "test_truth_of_images.py::test_no_program_writes_into_the_folder_of_another"),
    ("a run among its own sources", "out= by a link into a domain", "two folders below one",
     "test_truth_of_images.py::test_no_run_writes_among_the_pictures"),
    ("networks of another task", "a cycle of other domains", "a classifier of another size",
     "test_truth_of_networks.py::test_wrong_networks_are_refused"),
    ("a classifier that knows nothing", "three domains at chance", "one time above it, one below",
     "test_truth_of_networks.py::test_a_classifier_near_chance"),
    ("splits that mix", "a split inside an album's year", "validation/ in a folder of another name",
     "test_truth_of_sets.py::test_splits_deeper_down_never_mix"),
    ("folders that look like a split", "an anagram (trian)", "a suffix (val-old)",
     "test_truth_of_sets.py::test_a_folder_that_looks_like_a_split"),
    ("pictures left out", "beside the splits of a root", "in a folder between them",
     "test_truth_of_sets.py::test_pictures_in_no_split_are_named"),
    ("empty instead of unreadable", "a pipe named like a picture",
     "a link that leads nowhere", "test_truth_of_sets.py::test_what_is_no_file_is_named"),
    ("one domain twice", "a zip of the same folder", "hard links to its files",
     "test_truth_of_sets.py::test_domains_that_are_one"),
    ("two names that are one", "in the two domains of a pair", "in one folder",
     "test_truth_of_sets.py::test_names_in_two_unicode_forms"),
    ("an empty path as the working directory", "a blank", "an unset root",
     "test_truth_of_sets.py::test_an_empty_path"),
    ("pictures in the wrong part", "three squares side by side", "one above the other",
     "test_truth_of_sets.py::test_side_by_side"),
    ("masks read wrong", "a palette whose white comes first", "floats from 0 to 255",
     "test_truth_of_pixels.py::test_white_is_white"),
    ("masks that may mean either", "transparency with colours below", "a label map",
     "test_truth_of_pixels.py::test_what_may_mean_either"),
    ("ranges guessed from the container", "10 bits in 16", "14 bits in 16, grey and colour mixed",
     "test_truth_of_pixels.py::test_a_set_with_fewer_bits"),
    ("colours of another space", "a profile whose name is of another space",
     "a damaged profile", "test_truth_of_pixels.py::test_a_damaged_profile"),
    ("settings that nothing reads", "data.low with RePaint", "data.mask with ILVR",
     "test_inputs.py::test_what_nothing_reads"),
    ("settings that their own part leaves unread", "a low pass whose term has no weight",
     "Inception's file where no sets are compared",
     "test_idle.py::test_settings_that_no_part_reads"),
    ("a setting that is given twice", "with two values", "once added, once set",
     "test_idle.py::test_a_setting_that_is_given_twice"),
    ("values of a wrong type", "infinity for a count", "a list for a switch",
     "test_wrong_values.py::test_every_setting_that_is_usual"),
    ("numbers that no part can mean", "a share above 1", "a billion pixels or levels",
     "test_wrong_values.py::test_numbers_out_of_bounds"),
    ("files that grow when they are opened", "strides that repeat one number",
     "a packed checkpoint", "test_hostile_readers.py::test_tensors_that_say_more_than_they_hold"),
    ("switches that take a part away", "no checkpoint, by time, two batches a step",
     "barebones",
     "test_switches.py::test_a_training_runs_with_every_switch"),
    ("rows that stand for one batch", "two batches a step, logged every third",
     "a stop between two rows", "test_logged.py::test_a_row"),
    ("a given-back configuration over the old run", "copied into the folder of another run",
     "to the jobs of a sweep",
     "test_own_folder.py::test_a_configuration_given_back_from_elsewhere"),
    ("jobs of a sweep in another folder", "a configuration sent to another process",
     "one composed anew there", "test_sweep.py::test_jobs_elsewhere_get_the_sweeps_folder"),
    ("numbers that JSON cannot hold", "a nested NaN", "infinity in a list",
     "test_truth_of_images.py::test_json_files_hold_no_nan"),
    ("another training under a checkpoint's name", "loops that say another step",
     "an optimiser of other shapes", "test_resume.py::test_what_a_checkpoint_says_of_its_loops"),
    ("a picture that is not what its name says", "the source over its translation",
     "one pixel of a translation",
     "test_truth_of_images.py::test_what_was_not_made_from_these"),
    ("networks of the demonstration for other pictures", "its score alone", "its score and guide",
     "test_truth_of_networks.py::test_own_data_is_never_translated"),
    ("a split that stands in for another", "val asked for as test", "test asked for as val",
     "test_truth_of_sets.py::test_a_split_stands_in_for_another"),
    ("two files of one stem", "a WebP beside a PNG", "two spellings of one suffix",
     "test_truth_of_sets.py::test_two_files_of_one_stem"),
    ("files that are not read", "without a suffix", "a suffix in capitals",
     "test_truth_of_sets.py::test_files_of_other_kinds"),
    ("one domain around another", "through a root", "with a step up and down in the path",
     "test_truth_of_sets.py::test_domains_that_are_one"),
    ("sixteen bits cut to eight", "a TIFF of three bands", "grey in a PNG of sixteen bits",
     "test_truth_of_pixels.py::test_sixteen_bits_are_divided"),
    ("integers without a known white", "signed bytes", "16 bits from -300 to 900",
     "test_truth_of_pixels.py::test_integers_without_a_known_white"),
    ("masks of another shape", "turned, of as many pixels", "a strip of the same width",
     "test_truth_of_pixels.py::test_a_mask_of_another_shape"),
    ("levels that are not those of the paper's code", "2 of 1000", "999 of 1000",
     "test_grids.py::test_respaced_visits_the_levels"),
    ("a time that is no level", "of a chain of ten", "of NCSN's",
     "test_chains.py::test_a_time_between_two_levels"),
    ("a schedule of another length", "shortened after a stop", "a line, and a held one, prolonged",
     "test_logged.py::test_a_schedule_of_another_length"),
    ("weights that no step has made", "no time (max_time of 0 s)", "no batch an epoch",
     "test_switches.py::test_a_training_of_no_step"),
    ("two runs in one folder", "four processes that start together",
     "beside a plain file of the folder's name",
     "test_own_folder.py::test_runs_of_one_second_in_processes"),
    ("names that look like numbers or words of YAML", "007", "yes",
     "test_configs.py::test_names_that_look_like_numbers"),
    ("objectives that nothing measures", "one letter too many", "a number of another program",
     "test_validation.py::test_what_cannot_be_is_refused"),
    ("a precision that only one part has", "bfloat16 while translating", "bfloat16 of likelihoods",
     "test_configs.py::test_the_trainers_precision"),
    ("attention that is never reached", "between two maps", "above the image's side",
     "test_networks.py::test_attention_that_no_feature_map"),
    ("numbers of another search", "another seed and source", "a network under the same name",
     "test_tune.py::test_a_search"),
    ("trials of another search in a database", "another limit", "another program's study",
     "test_hostile_searches.py::test_trials_are_those_of_one_search"),
    ("volumes that say more than they hold", "a header of NIfTI before its file's end",
     "a stack of NumPy that is cut", "test_hostile_containers.py::test_headers_of_nifti"),
    ("settings that vanish", "a setting of trainings added to a translation (+lr=0.1)",
     "a part that nothing names (++foo.bar=3)", "test_answers.py::test_every_mistake_is_answered"),
    ("numbers as people write them", "a decimal comma", "digits of another script",
     "test_answers.py::test_every_mistake_is_answered"),
    ("files of the system among the pictures", "thumbnails of a network disk (@eaDir)",
     "a bin of deleted pictures", "test_truth_of_sets.py::test_files_that_no_person_put_there"),
    ("what is written through a link", "in the place of an unfinished file",
     "in the place of a lock", "test_hostile_folders.py::test_rows_and_locks"),
    ("coded pixels that are more than their container says", "later frames of a GIF",
     "a strip of TIFF that grows", "test_hostile_coded.py::test_strips_of_tiff_that_grow"),
    ("an id of Weights & Biases that is of no run", "a path", "two lines",
     "test_hostile_folders.py::test_an_id_of_weights_and_biases"),
    ("sizes and pictures of a whole split for two", "limit=2 with a cache", "limit=2 without one",
     "test_many_images.py::test_a_limit_opens_only_its_images"),
    ("rows of a table that are lost", "cut in half", "written over by another program",
     "test_hostile_folders.py::test_a_table_that_is_damaged"),
]  # fmt: skip


def table() -> str:
    lines = [f"| {kind} | {one} | {two} | `{test}` |" for kind, one, two, test in KINDS]
    head = "| kind | one way | another | test |\n|---|---|---|---|\n"
    return "## Silent kinds\n\n" + head + "\n".join(lines) + "\n"


def missing() -> list[str]:
    """Tests of the table that are not there."""
    found = []
    for *_, test in KINDS:
        file, name = test.split("::")
        path = TESTS / file
        text = path.read_text() if path.exists() else ""
        if not re.search(rf"^def {name}", text, re.M):
            found.append(test)
    return found
