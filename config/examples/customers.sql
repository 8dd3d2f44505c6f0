select user_id, email, full_name, ltv, devices, recommendations_json, city, country
from marts.customers
where opted_in;
