"""What readers downstream get: rankings, their feeds, and notifications. Knows no file format and no broker.

catalog        rankings, and the publications each keeps
publish        a job becomes the state of its ranking
diff           a job's results beside what the ranking has
current        what a ranking shows now, and the publication that takes its place
feed           a ranking's changes, read from a cursor on
deliveries     how far each receiver has come
notifications  who is notified of a job's end, and what came of it
notifiers      which ways to notify this process has
webhooks       a job's summary posted to a URL
"""
