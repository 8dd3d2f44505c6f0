-- The sample warehouse of `larder quickstart`: customers of a music service, and a record shop.
-- Every value is derived from the row's number, so that the rows are the same on every machine.

create temp table words (kind text primary key, list text not null);
insert into words values
    ('given', '["Jane","Amélie","Zoë","Björn","Noah","Mateo","Sofía","Yuki","Aisha","Łukasz","Anna","Dmitri",
        "Chloé","Omar","Priya","Seán","Ingrid","Kofi","Mei","Tomás","Elif","Nguyễn","Ravi","Olivia"]'),
    ('family', '["Doe","García","Müller","O''Brien","Nowak","Tanaka","Smith","Okafor","Ivanova","Silva",
        "Larsson","Kaya","Dubois","Rossi","Chen","Patel","Kowalczyk","Núñez","van der Berg","Ødegård"]'),
    ('city', '["San Francisco, CA","Berlin","São Paulo","東京","Kraków","Lagos","Montréal","Zürich",
        "Austin, TX","Malmö"]'),
    ('genre', '["house","techno","ambient","jazz","hip hop","drum & bass","indie","flamenco","K-pop",
        "classical","reggaetón","folk"]'),
    ('artist', '["deadmau5","Marsh","Enamour","Aphex Twin","Sultan + Shepard","Simon Doty","Björk",
        "Sigur Rós","Rosalía","Nils Frahm","Fela Kuti","Mitski","\"Weird Al\" Yankovic","AC/DC"]'),
    ('title', '["Universal Language","Night Drive","Éclat","Second Sun","Low Tide","Paper Moons",
        "Wire & Wool","静けさ"]'),
    ('label', '["Anjunadeep","Warp","Ninja Tune","Erased Tapes","XL"]'),
    ('item', '["T-shirt","Vinyl LP","Poster","Hoodie","Tote bag","Cassette"]'),
    ('name', '["Nordlicht","Café Noir","Velvet","Static","Señal","Origami","Half Moon","Ziggurat"]');

-- For each row number: six numbers that look like chance (a multiple of it modulo a prime), and words that
-- they pick.
create temp view picks as
with recursive
    numbers(n) as (select 1 union all select n + 1 from numbers where n < 10000),
    draws as (
        select n, n * 5437 % 10007 as a, n * 4409 % 10007 as b, n * 4817 % 10007 as c,
            n * 3571 % 10007 as d, n * 2713 % 10007 as e, n * 1877 % 10007 as f
        from numbers
    ),
    lists as (select json_group_object(kind, json(list)) as words from words)
select draws.*,
    json_extract(words, printf('$.given[%d]', a % 24)) as given,
    json_extract(words, printf('$.family[%d]', b % 20)) as family,
    case when c % 15 then json_extract(words, printf('$.city[%d]', c % 10)) end as city,
    json_extract(words, printf('$.genre[%d]', d % 12)) as genre,
    json_extract(words, printf('$.genre[%d]', (d + 5) % 12)) as genre2,
    json_extract(words, printf('$.artist[%d]', e % 14)) as artist,
    json_extract(words, printf('$.artist[%d]', (e + 3) % 14)) as artist2,
    json_extract(words, printf('$.title[%d]', f % 8)) as title,
    json_extract(words, printf('$.label[%d]', f % 5)) as label,
    json_extract(words, printf('$.item[%d]', a % 6)) as item,
    json_extract(words, printf('$.name[%d]', b % 8)) as name
from draws, lists;

create table customers (
    user_id integer primary key,
    email text unique,
    full_name text not null,
    city text,
    signed_up date not null,
    lifetime_value real,
    churn_risk real,
    newsletter boolean not null,
    "90_day_summary" json,
    recommendations json
);

insert into customers
select
    10000 + n,
    case when e % 20 then 'customer+' || (10000 + n) || '@example.com' end,
    given || ' ' || family,
    city,
    date('2023-01-01', (a % 1000) || ' days'),
    case when b % 10 then (c * 49 % 500000) / 100.0 end,
    case when d % 8 then (e % 100) / 100.0 end,
    f % 3 > 0,
    case when a % 12 then json_object(
        'num_songs_listened', b % 3000,
        'top_genres', case c % 4
            when 0 then json('[]') when 1 then json_array(genre) else json_array(genre, genre2) end,
        'top_artists', case d % 3 when 0 then json('[]') else json_array(artist, artist2) end
    ) end,
    case when a % 12 then json_object(
        'concerts', case e % 4
            when 0 then json('[]')
            when 1 then json_array(json_object('artist', artist, 'location', ifnull(city, 'Online'),
                'event_date', date('2023-01-01', (b % 1400) || ' days')))
            else json_array(
                json_object('artist', artist, 'location', ifnull(city, 'Online'),
                    'event_date', date('2023-01-01', (b % 1400) || ' days')),
                json_object('artist', artist2, 'location', ifnull(city, 'Online'),
                    'event_date', date('2023-01-01', (c % 1400) || ' days')))
            end,
        'upcoming_album_release', case when d % 6 then json_object('title', title, 'artist', artist2,
            'label', label, 'release_date', date('2023-01-01', (e % 1400) || ' days')) end
    ) end
from picks;

-- The customer of the documentation's example.
update customers set
    email = 'jane.doe@example.com',
    full_name = 'Jane Doe',
    city = 'San Francisco, CA',
    signed_up = '2021-05-17',
    lifetime_value = 1492.18,
    churn_risk = 0.04,
    newsletter = 1,
    "90_day_summary" = json('{"num_songs_listened":813,"top_genres":["house","techno","ambient"],
        "top_artists":["deadmau5","Marsh","Enamour"]}'),
    recommendations = json('{"concerts":[
        {"artist":"Aphex Twin","location":"San Francisco, CA","event_date":"2023-01-31"},
        {"artist":"Sultan + Shepard","location":"San Francisco, CA","event_date":"2023-02-25"}],
        "upcoming_album_release":{"title":"Universal Language","artist":"Simon Doty",
        "label":"Anjunadeep","release_date":"2023-04-28"}}')
where user_id = 12345;

create table products (
    sku text primary key,
    name text not null,
    description text,
    price_cents integer not null,
    currency text not null,
    in_stock boolean not null,
    tags json not null,
    updated_at text not null
);

insert into products
select
    printf('SKU-%04d', n),
    name || ' ' || item,
    case when c % 7 then item || ' “' || name || '”, no. ' || n || '.' end,
    500 + d % 9500,
    case e % 3 when 0 then 'USD' when 1 then 'EUR' else 'JPY' end,
    f % 5 > 0,
    case a % 4
        when 0 then '[]' when 1 then '["new"]' when 2 then '["sale","limited"]' else '["signed","import"]' end,
    strftime('%Y-%m-%dT%H:%M:00Z', '2023-01-01', (b % 1000) || ' days', (c % 1440) || ' minutes')
from picks where n <= 500;
