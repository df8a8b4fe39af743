"""All commands of docs/data.md run on small files of the data sets' formats."""

import gzip
import json
import os
import pathlib
import re
import subprocess
import zipfile

import pytest

PROGRAM = os.environ["NEGPIPE_PROGRAM"]
GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs/data.md"
USERS, ITEMS = 4, 30

# A row of each data set's files, from user u, item i and time t.
ROWS = {
    "u.data": "{u}\t{i}\t3\t{t}",
    "ratings.dat": "{u}::{i}::3::{t}",
    "ratings.csv": "{u},{i},3.5,{t}",
    "Books_5.json.gz": '{{"overall": 4.0, "reviewTime": "01 1, 2018", "reviewerID": "A{u}", "asin": "000{i}", '
    '"unixReviewTime": {t}}}',
    "Books.csv": "000{i},A{u},5.0,{t}",
    "Books.jsonl.gz": '{{"rating": 5.0, "images": [], "asin": "B{i}", "parent_asin": "C{i}", "user_id": "A{u}", '
    '"timestamp": {t}123}}',
    "Books.csv.gz": "A{u},C{i},5.0,{t}123",
    "loc-gowalla_totalCheckins.txt.gz": "{u}\t2010-10-19T23:{i:02}:27Z\t30.2359\t-97.795\t{i}",
    "yelp_academic_dataset_review.json": '{{"review_id":"r","user_id":"u{u}","business_id":"b{i}","stars":4.0,'
    '"date":"2018-07-07 22:{i:02}:11"}}',
    "userid-timestamp-artid-artname-traid-traname.tsv": 'user_00{u}\t2009-05-04T23:{i:02}:57Z\tart{i}\t"x\ttra{i}\ty',
    "steam-200k.csv": "{u},The Game {i},play,2.0,0",
    "transactions_train.csv": "2018-09-{i:02},000{u}ab,0{i}001,0.05,2",
    "big_matrix.csv": "{u},{i},100,200,2020-07-05 00:08:{i:02}.438,20200705,{t}.438,0.5",
    "UserBehavior.csv": "{u},{i},7,pv,{t}",
    "ml-100k.inter": "{u}\t{i}\t3\t{t}",
    "Beauty.txt": "{u} {i}",
}
HEADERS = {
    "ratings.csv": "userId,movieId,rating,timestamp",
    "Books.csv.gz": "user_id,parent_asin,rating,timestamp",
    "transactions_train.csv": "t_dat,customer_id,article_id,price,sales_channel_id",
    "big_matrix.csv": "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio",
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float",
}


def text_of(name):
    if name == "train.txt":
        lists = (f"{u} " + " ".join(str(i) for i in range(1, ITEMS + 1 - u)) for u in range(USERS))
        return "\n".join(lists) + "\n"
    if name == "test.txt":
        lists = (f"{u} " + " ".join(str(i) for i in range(ITEMS + 1 - u, ITEMS + 1)) for u in range(1, USERS))
        return "\n".join(lists) + "\n"
    rows = [ROWS[name].format(u=u, i=i, t=978300000 + 60 * i) for u in range(1, USERS + 1) for i in range(1, ITEMS + 1)]
    return "\n".join([HEADERS[name], *rows] if name in HEADERS else rows) + "\n"


def write(path, member):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{path.stem}/README", "about")
            archive.writestr(f"{path.stem}/{member}", text_of(member))
            archive.writestr(f"{path.stem}/movies.csv", "1,x\n")
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(text_of(path.name).encode()))
    else:
        path.write_text(text_of(path.name))


def commands():
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text().split("## MovieLens 100K")[1], re.DOTALL)
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    return [line for line in lines if line.startswith("negpipe prepare ") and " - " not in line]


@pytest.mark.parametrize("command", commands())
def test_the_guides_command_reads_a_file_of_that_shape(command, tmp_path):
    words = command.split()
    member = words[words.index("--member") + 1] if "--member" in words else None
    write(tmp_path / words[2], member)
    if "--test" in words:
        write(tmp_path / words[words.index("--test") + 1], None)
    words = [PROGRAM, *words[1:], "--json"]
    if "--expect" in words:
        del words[words.index("--expect") : words.index("--expect") + 2]
    if "--min-item-ratings" in words:
        words[words.index("--min-item-ratings") + 1] = "2"
    outcome = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    made = json.loads(outcome.stdout)
    assert made["users"] == USERS
    assert made["items"] in (ITEMS, ITEMS - 1)


def test_the_guide_has_a_shape_for_every_command():
    assert len(commands()) >= 19
