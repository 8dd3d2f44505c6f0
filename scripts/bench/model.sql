-- One million customers of about 800 bytes of JSON each: nested JSON, nulls, uuids, numerics, dates and
-- non-ASCII text. All values follow from the row's number, so that every run has the same rows.
create table customers as
select
  n as user_id,
  'customer+' || n || '@' || (array['example.com','example.org','mail.example.net'])[1 + n % 3] as email,
  (array['Jane','Amélie','Zoë','Björn','Noah','Mateo','Sofía','Yuki','Aisha','Łukasz','Priya','Seán'])[1 + (n::bigint * 7919 % 12)::int]
    || ' ' ||
  (array['Doe','García','Müller','O''Brien','Nowak','Tanaka','Okafor','Silva','Larsson','Kaya'])[1 + (n::bigint * 104729 % 10)::int] as full_name,
  md5('u' || n)::uuid as external_id,
  case when n % 11 = 0 then null else ((n::bigint * 7907 % 500000) / 100.0)::numeric(12, 2) end as lifetime_value,
  (n::bigint * 31 % 1000) / 1000.0::float8 as churn_risk,
  case when n % 13 = 0 then null
    else (array['San Francisco, CA','Berlin','São Paulo','東京','Kraków','Lagos','Montréal','Zürich'])[1 + (n::bigint * 6367 % 8)::int] end as city,
  date '2020-01-01' + (n % 1500)::int as signed_up,
  timestamptz '2026-01-01 00:00:00+00' + n::float8 * interval '7 seconds 123 milliseconds' as updated_at,
  jsonb_build_object(
    'num_songs_listened', n::bigint * 17 % 3000,
    'top_genres', jsonb_build_array(
      (array['house','techno','ambient','jazz','hip hop'])[1 + (n % 5)::int],
      (array['indie','flamenco','K-pop','classical'])[1 + (n::bigint * 3 % 4)::int]),
    'top_artists', jsonb_build_array(
      (array['deadmau5','Marsh','Enamour','Björk'])[1 + (n::bigint * 11 % 4)::int],
      (array['Sigur Rós','Rosalía','Nils Frahm','Mitski'])[1 + (n::bigint * 5 % 4)::int])
  ) as "90_day_summary",
  jsonb_build_object(
    'concerts', jsonb_build_array(
      jsonb_build_object('artist', 'Aphex Twin', 'location', (array['Berlin','Lagos','Kraków'])[1 + (n % 3)::int],
        'event_date', (date '2026-01-01' + (n::bigint * 3 % 365)::int)::text, 'venue', md5('v' || n % 5000)),
      jsonb_build_object('artist', 'Sultan + Shepard', 'location', (array['Zürich','Montréal'])[1 + (n % 2)::int],
        'event_date', (date '2026-01-01' + (n::bigint * 7 % 365)::int)::text, 'venue', md5('w' || n % 5000))),
    'upcoming_album_release', jsonb_build_object(
      'title', 'Volume ' || n % 977, 'artist', (array['Simon Doty','Fela Kuti','Mitski'])[1 + (n::bigint * 13 % 3)::int],
      'label', 'Anjunadeep', 'release_date', (date '2026-01-01' + (n::bigint * 11 % 365)::int)::text),
    'offer_code', md5('o' || n)
  ) as recommendations
from generate_series(1, :rows) as n;
alter table customers add primary key (user_id);
vacuum analyze customers;
